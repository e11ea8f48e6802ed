"""Print docker/prometheus/alerts.yml as the object that the Prometheus Operator reads.

`make prometheus-rule` puts it into docker/kubernetes/components/monitoring/alerts.yaml.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

HEAD = """\
# Made from docker/prometheus/alerts.yml by `make prometheus-rule`: change that one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: deeplab
spec:
"""

alerts = Path(__file__).with_name("prometheus") / "alerts.yml"
print(HEAD + indent(alerts.read_text(encoding="utf-8"), "  "), end="")
