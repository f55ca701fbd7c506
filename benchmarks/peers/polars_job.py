"""`polars_job.py JOB INPUT OUTPUT`: the same with Polars' expressions; the caller keeps it to one thread."""

import sys

import polars as pl
from polars import col


def people(path):
    frame = pl.read_csv(path, infer_schema=False)
    ltv, orders = col("ltv").cast(pl.Float64), col("orders").cast(pl.Int64)
    tier = (
        pl.when(ltv >= 500).then(pl.lit("gold")).when(ltv >= 100).then(pl.lit("silver")).otherwise(pl.lit("bronze"))
    )
    fields = pl.struct(
        col("first_name").str.to_titlecase().alias("firstName"),
        col("country").str.to_uppercase(),
        pl.concat_str("first_name", "last_name", separator=" ").alias("fullName"),
        col("city").replace("", "unknown").fill_null("unknown"),
        ltv.alias("ltv"),
        orders.alias("orders"),
        (orders > 10).alias("frequent"),
        col("tags").str.split(";"),
        col("signed_up").str.to_date("%Y-%m-%d").cast(pl.Datetime("ms")).cast(pl.Int64).alias("signedUpAt"),
        tier.alias("tier"),
    )
    return frame.select(col("email").str.to_lowercase(), fields.alias("dataFields"))


def orders(path):
    frame = pl.read_ndjson(path)
    one = pl.element().struct
    lines = pl.struct(
        one.field("sku").alias("id"),
        one.field("title").alias("name"),
        one.field("price"),
        one.field("qty").alias("quantity"),
    )
    return frame.filter(col("status") != "cancelled").select(
        col("order_id").alias("orderId"),
        col("customer").struct.field("email").str.to_lowercase(),
        col("customer").struct.field("country").str.to_uppercase(),
        col("items").list.eval(one.field("price") * one.field("qty")).list.sum().round(2).alias("total"),
        col("items").list.eval(one.field("qty")).list.sum().alias("units"),
        col("items").list.eval(lines).alias("lines"),
    )


if __name__ == "__main__":
    job, source, target = sys.argv[1:]
    {"j1": people, "j2": orders}[job](source).write_ndjson(target)
