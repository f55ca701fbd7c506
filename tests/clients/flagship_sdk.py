"""Drives the real `flagship` 2.1.5. Started in that package's own environment, in an empty working directory.

python flagship_sdk.py scenario URLS       every call of the SDK against a server; URLS is JSON
python flagship_sdk.py decide FILE VISITORS    decides each visitor of a JSON Lines file; one line of ids each
python flagship_sdk.py functions CASES     its hash and its targeting on a JSON Lines file; one line each
python flagship_sdk.py rate FILE VISITORS  visitors decided in a second
"""

import contextlib
import inspect
import io
import json
import pathlib
import sys
import time

inspect.getargspec = getattr(inspect, "getargspec", inspect.getfullargspec)

from flagship.app import Flagship  # noqa: E402
from flagship.config import Config  # noqa: E402
from flagship.handler import FlagshipEventHandler  # noqa: E402
from flagship.helpers.api import ApiManager  # noqa: E402
from flagship.helpers.hits import Event, EventCategory, Item, Page, Screen, Transaction  # noqa: E402
from flagship.helpers.murmur32x86 import murmurHash  # noqa: E402
from flagship.model.targeting import TargetingGroup  # noqa: E402


class Quiet(FlagshipEventHandler):
    def __init__(self):
        FlagshipEventHandler.__init__(self)

    def on_log(self, level, message):
        pass

    def on_exception_raised(self, exception, traceback):
        raise exception


def lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text("utf-8").splitlines()]


def started(mode, env_id="env"):
    with contextlib.redirect_stdout(io.StringIO()):
        Flagship.instance().start(env_id, "key-1", Config(mode=mode, polling_interval=0, event_handler=Quiet()))


def held(visitor):
    return [[m.campaign_id, m.variation_group_id, m.variation_id] for m in visitor._modifications.values()]


# --- every call ----------------------------------------------------------------------------------------------------


def scenario(urls):
    places = json.loads(urls)
    ApiManager._ApiManager__ariane = places["collect"]
    ApiManager._ApiManager__end_point_v2 = places["decision"] + "/"
    ApiManager._ApiManager__end_point_bucketing = places["bucketing"] + "/{id}/bucketing.json"
    told = {}
    for mode in (Config.Mode.API, Config.Mode.BUCKETING):
        started(mode)
        with contextlib.redirect_stdout(io.StringIO()):
            told[mode.name] = [one_visitor(number) for number in range(12)]
    return told


def one_visitor(number):
    context = {"country": "FR" if number % 2 else "US", "orders": number, "fs_hidden": "x", "score": 1.5, "vip": True}
    visitor = Flagship.instance().create_visitor(f"visitor-{number}", False, context)
    visitor.synchronize_modifications()
    colour = visitor.get_modification("btn-color", "blue", True)
    visitor.activate_modification("checkout")
    if number % 3 == 0:
        visitor.authenticate(f"customer-{number}")
        visitor.synchronize_modifications()
        visitor.activate_modification("checkout")
    visitor.send_hit(
        Page(f"https://shop.test/{number}").with_ip("1.2.3.4").with_locale("fr-fr").with_session_number(2)
    )
    visitor.send_hit(Screen("home").with_resolution(640, 480))
    visitor.send_hit(Event(EventCategory.USER_ENGAGEMENT, "click").with_event_label("l").with_event_value(number + 1))
    order = Transaction(f"t{number}", "purchases").with_total_revenue(420.5).with_currency("EUR").with_item_count(1)
    visitor.send_hit(order.with_shipping_cost(4.5).with_taxes(1.5).with_payment_method("cb").with_coupon_code("C"))
    visitor.send_hit(Item(f"t{number}", "Thing", "sku").with_price(2.5).with_item_quantity(1).with_item_category("c"))
    visitor.unauthenticate()
    visitor.update_context(("orders", number + 1), True)
    return {"held": held(visitor), "colour": colour, "info": visitor.get_modification_info("btn-color")}


# --- deciding without a network --------------------------------------------------------------------------------------


class Answer:
    content = b""

    def __init__(self, status, headers, said):
        self.status_code, self.headers, self.json = status, headers, lambda: said


def without_network(file):
    """The file as it would be fetched, and nowhere to send to."""
    import requests

    document = json.loads(pathlib.Path(file).read_text("utf-8"))
    fetched = Answer(200, {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, document)
    requests.get = lambda *_, **__: fetched
    requests.post = lambda *_, **__: Answer(204, {}, None)
    started(Config.Mode.BUCKETING)


def decided(visitors):
    found = []
    for one in visitors:
        visitor = Flagship.instance().create_visitor(one["v"], False, one["x"])
        visitor.synchronize_modifications()
        found.append(held(visitor))
    return found


def decide(file, visitors):
    without_network(file)
    with contextlib.redirect_stdout(io.StringIO()):
        return decided(lines(visitors))


def rate(file, visitors):
    without_network(file)
    given = lines(visitors)
    with contextlib.redirect_stdout(io.StringIO()):
        began = time.perf_counter()
        decided(given)
        return [len(given) / (time.perf_counter() - began)]


def functions(cases):
    found = []
    for case in lines(cases):
        if "text" in case:
            found.append(murmurHash(case["text"]))
        else:
            group = TargetingGroup.parse([{"targetings": [case["rule"]]}])
            found.append(bool(group.is_targeting_valid(case["context"])))
    return found


if __name__ == "__main__":
    answer = {"scenario": scenario, "decide": decide, "functions": functions, "rate": rate}[sys.argv[1]](
        *sys.argv[2:]
    )
    if isinstance(answer, dict):
        print(json.dumps(answer))
    else:
        sys.stdout.write("".join(json.dumps(line) + "\n" for line in answer))
