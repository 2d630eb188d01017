"""From nothing to a running product: servers, schema, key, services."""

from dataclasses import dataclass, field

from pydantic import SecretStr

from infra.local import prometheus
from infra.local.directory import client_env
from infra.local.directory.state import load_secrets
from infra.local.services import ServiceEnvironment, ServicePorts, build_services
from infra.local.settings import LocalSettings
from infra.local.stack import Report, Stack
from shared.db.migrate import upgrade
from shared.db.tenants.bootstrap import ensure_local_key, ensure_web_page_key


@dataclass(frozen=True)
class Endpoints:
    """What a person needs to use the running product."""

    url: str
    ui_url: str
    api_key: str = field(repr=False)
    # What a person must not overlook, e.g. that a port is not the usual one; "" for nothing.
    attention: str = ""

    @property
    def docs_url(self) -> str:
        """The API's documentation, to try calls in a browser."""
        return f"{self.url}/docs"


def boot(stack: Stack, settings: LocalSettings, report: Report) -> Endpoints:
    """Start everything and write `detector.env`, `servers.env` and `prometheus.yml`.

    Args:
        stack: not started yet; the caller stops it, also after an error.
        settings: ports and host.
        report: called with one line per finished step.

    Raises:
        LocalStackError: something did not start; the message says what to do.
    """
    urls = stack.start_servers()
    kept = load_secrets(stack.layout)
    webhook_keys = _given(settings.webhook_secret_keys) or kept.webhook_secret_key
    evidence_keys = _given(settings.gateway_evidence_keys) or kept.evidence_key
    own_secrets = {
        "DETECTOR_WEBHOOK_SECRET_KEYS": webhook_keys,
        "DETECTOR_GATEWAY_EVIDENCE_KEYS": evidence_keys,
    }
    client_env.store_servers(stack.layout, urls.environment() | own_secrets)
    upgrade(urls.database_url)
    report("database schema is up to date")
    known = client_env.load(stack.layout.root)
    api_key = ensure_local_key(urls.database_url, known.api_key if known else None)
    web_page_key = ensure_web_page_key(
        urls.database_url, client_env.load_web_page_key(stack.layout)
    )
    client_env.store_web_page_key(stack.layout, web_page_key)
    ports = _choose_ports(stack, settings)
    attention = _attention(ports, settings)
    if attention:
        report(attention)
    environment = ServiceEnvironment(
        urls.environment(),
        stack.layout.root,
        settings.gateway_host,
        ports,
        web_page_key,
        webhook_keys,
        evidence_keys,
    )
    # Before the services start: whoever starts using them as they come up has the right key.
    client_env.store_client(stack.layout, environment.gateway_url, api_key)
    prometheus.store(stack.layout, environment)
    stack.start_services(build_services(environment))
    return Endpoints(environment.gateway_url, environment.ui_url, api_key, attention)


def _given(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _choose_ports(stack: Stack, settings: LocalSettings) -> ServicePorts:
    return ServicePorts(
        gateway=stack.port("gateway", settings.gateway_port, settings.gateway_host),
        ui=stack.port("ui", settings.ui_port),
        worker_metrics=stack.port("worker-metrics"),
        maintenance_metrics=stack.port("maintenance-metrics"),
        webhook_metrics=stack.port("webhook-metrics"),
        ingest_metrics=stack.port("ingest-metrics"),
        drift_metrics=stack.port("drift-metrics"),
    )


def _attention(ports: ServicePorts, settings: LocalSettings) -> str:
    if ports.gateway == settings.gateway_port:
        return ""
    return (
        f"ATTENTION: port {settings.gateway_port} is taken by another program; the gateway "
        f"listens on port {ports.gateway} instead"
    )
