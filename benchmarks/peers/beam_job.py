"""`beam_job.py j1 INPUT OUTPUT`: a Beam YAML pipeline on the runner of this machine."""

import glob
import os
import sys

PIPELINE = """
pipeline:
  type: chain
  transforms:
    - type: ReadFromCsv
      config: {path: %(source)s, dtype: str, keep_default_na: false}
    - type: MapToFields
      config:
        language: python
        fields:
          email: {expression: "email.lower()"}
          dataFields:
            callable: |
              from datetime import date
              def fields(row):
                  ltv, orders = float(row.ltv), int(row.orders)
                  return {
                      "firstName": row.first_name.title(),
                      "country": row.country.upper(),
                      "fullName": row.first_name + " " + row.last_name,
                      "city": row.city or "unknown",
                      "ltv": ltv,
                      "orders": orders,
                      "frequent": orders > 10,
                      "tags": row.tags.split(";"),
                      "signedUpAt": (date.fromisoformat(row.signed_up).toordinal() - 719163) * 86400000,
                      "tier": "gold" if ltv >= 500 else "silver" if ltv >= 100 else "bronze",
                  }
    - type: WriteToJson
      config: {path: %(target)s, num_shards: 1}
"""

if __name__ == "__main__":
    job, source, target = sys.argv[1:]
    from apache_beam.yaml import main

    main.run(["--yaml_pipeline", PIPELINE % {"source": source, "target": target}])
    (shard,) = glob.glob(target + "-*")
    os.replace(shard, target)
