"""Dashboards and alert rules of Grafana: written here, committed as Grafana reads them."""
