"""Hits and presets in the SDK's own words: `Page("https://…").with_locale("fr-fr")`."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Any, Self

from engine.vendors.buckets import PRESET_NAMES

Preset = StrEnum("Preset", list(PRESET_NAMES.items()))  # type: ignore[misc]
"""The reserved keys of a context: `Preset.LOCATION_CITY`."""


class EventCategory(Enum):
    ACTION_TRACKING = "ACTION_TRACKING"
    USER_ENGAGEMENT = "USER_ENGAGEMENT"


class Hit:
    """A hit. `kind` and `fields` are those that the sink's payloads have."""

    kind = ""

    def __init__(self, **fields: Any) -> None:
        self.fields: dict[str, Any] = fields

    def _with(self, **fields: Any) -> Self:
        self.fields |= fields
        return self

    def with_ip(self, ip: str) -> Self:
        return self._with(ip=ip)

    def with_locale(self, locale: str) -> Self:
        return self._with(locale=locale)

    def with_resolution(self, width: int, height: int) -> Self:
        return self._with(resolution=[width, height])

    def with_session_number(self, number: int) -> Self:
        return self._with(session_number=number)

    def with_session_timestamp(self, milliseconds: int) -> Self:
        return self._with(session_timestamp=milliseconds)

    def with_queue_time(self, milliseconds: int) -> Self:
        return self._with(queue_time=milliseconds)


class Page(Hit):
    kind = "page"

    def __init__(self, location: str) -> None:
        super().__init__(location=location)


class Screen(Hit):
    kind = "screen"

    def __init__(self, location: str) -> None:
        super().__init__(location=location)


class Event(Hit):
    kind = "event"

    def __init__(self, category: EventCategory | str, action: str) -> None:
        super().__init__(category=category.value if isinstance(category, EventCategory) else category, action=action)

    def with_event_label(self, label: str) -> Self:
        return self._with(label=label)

    def with_event_value(self, value: int) -> Self:
        return self._with(value=value)


class Transaction(Hit):
    kind = "transaction"

    def __init__(self, transaction_id: str, affiliation: str) -> None:
        super().__init__(transaction_id=transaction_id, affiliation=affiliation)

    def with_total_revenue(self, revenue: float) -> Self:
        return self._with(revenue=revenue)

    def with_shipping_cost(self, cost: float) -> Self:
        return self._with(shipping_cost=cost)

    def with_shipping_method(self, method: str) -> Self:
        return self._with(shipping_method=method)

    def with_taxes(self, taxes: float) -> Self:
        return self._with(taxes=taxes)

    def with_currency(self, currency: str) -> Self:
        return self._with(currency=currency)

    def with_payment_method(self, method: str) -> Self:
        return self._with(payment_method=method)

    def with_item_count(self, count: int) -> Self:
        return self._with(item_count=count)

    def with_coupon_code(self, code: str) -> Self:
        return self._with(coupon_code=code)


class Item(Hit):
    kind = "item"

    def __init__(self, transaction_id: str, product_name: str, product_sku: str) -> None:
        super().__init__(transaction_id=transaction_id, product_name=product_name, product_sku=product_sku)

    def with_price(self, price: float) -> Self:
        return self._with(price=price)

    def with_item_quantity(self, quantity: int) -> Self:
        return self._with(item_quantity=quantity)

    def with_item_category(self, category: str) -> Self:
        return self._with(item_category=category)
