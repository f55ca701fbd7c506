"""`duckdb_job.py JOB INPUT OUTPUT`: the same in one SQL statement, on one thread."""

import sys

import duckdb

PEOPLE = """
select lower(email) as email, {
    'firstName': upper(first_name[1]) || lower(first_name[2:]),
    'country': upper(country),
    'fullName': first_name || ' ' || last_name,
    'city': case when coalesce(city, '') = '' then 'unknown' else city end,
    'ltv': ltv::double,
    'orders': orders::bigint,
    'frequent': orders::bigint > 10,
    'tags': string_split(tags, ';'),
    'signedUpAt': epoch_ms(signed_up::timestamp),
    'tier': case when ltv::double >= 500 then 'gold' when ltv::double >= 100 then 'silver' else 'bronze' end
} as dataFields from read_csv(?, all_varchar = true)
"""
ORDERS = """
select order_id as orderId, lower(customer.email) as email, upper(customer.country) as country,
    round(list_sum([i.price * i.qty for i in items]), 2) as total,
    list_sum([i.qty for i in items])::bigint as units,
    [{'id': i.sku, 'name': i.title, 'price': i.price, 'quantity': i.qty} for i in items] as lines
from read_json(?, format = 'newline_delimited') where status != 'cancelled'
"""

if __name__ == "__main__":
    job, source, target = sys.argv[1:]
    base = duckdb.connect(config={"threads": 1})
    query = {"j1": PEOPLE, "j2": ORDERS}[job].replace("?", f"'{source}'")
    base.execute(f"copy ({query}) to '{target}' (format json)")
