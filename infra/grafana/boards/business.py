"""What do the marketplaces get? Counts by tenant, as the database has them."""

from infra.grafana.panels import Board, Panel, Query, Row, Variable

_TENANT = 'tenant=~"$tenant"'


def _verdicts(by: str, where: str = "", window: str = "$__range") -> str:
    """Return the verdicts of the window; two maintenance processes count the same ones."""
    selector = f"{_TENANT},{where}" if where else _TENANT
    increase = f"increase(detector_tenant_verdicts_total{{{selector}}}[{window}])"
    return f"sum by ({by}) (max without (instance) ({increase}))"


def _reviews(by: str, where: str = "") -> str:
    selector = f"{_TENANT},{where}" if where else _TENANT
    increase = f"increase(detector_tenant_reviews_total{{{selector}}}[$__range])"
    return f"sum by ({by}) (max without (instance) ({increase}))"


_TOTALS = Row(
    "In the chosen time",
    [
        Panel(
            "Verdicts by label",
            "Photos judged, repeated ones too.",
            [Query(_verdicts("label"), "{{label}}")],
            kind="stat",
            height=6,
        ),
        Panel(
            "Verdicts by way",
            "`job`, `predict` (synchronous) or `catalog` (bulk).",
            [Query(_verdicts("kind"), "{{kind}}")],
            kind="stat",
            height=6,
        ),
        Panel(
            "Reviewers' labels",
            "`overturned` ones changed the verdict.",
            [Query(_reviews("outcome"), "{{outcome}}")],
            kind="stat",
            height=6,
        ),
    ],
)

_TENANTS = Row(
    "Tenants",
    [
        Panel(
            "Verdicts by tenant",
            "In the chosen time.",
            [Query(_verdicts("tenant"), "{{tenant}}")],
            kind="bargauge",
        ),
        Panel(
            "Called AI-generated",
            "Share of each tenant's verdicts in the chosen time.",
            [
                Query(
                    _verdicts("tenant", 'label="ai_generated"')
                    + f" / clamp_min({_verdicts('tenant')}, 1)",
                    "{{tenant}}",
                )
            ],
            unit="percentunit",
            kind="bargauge",
            maximum=1,
        ),
        Panel(
            "Left to people",
            "Share of `uncertain` verdicts: the reviewers' load.",
            [
                Query(
                    _verdicts("tenant", 'label="uncertain"')
                    + f" / clamp_min({_verdicts('tenant')}, 1)",
                    "{{tenant}}",
                )
            ],
            unit="percentunit",
            kind="bargauge",
            maximum=1,
        ),
        Panel(
            "Photos waiting",
            "By tenant; limits are set with `detector tenants limit`.",
            [Query(f"max by (tenant) (detector_tenant_images_open{{{_TENANT}}})", "{{tenant}}")],
            stack=True,
        ),
        Panel(
            "False accusations found by reviewers",
            "Photos called AI-generated or uncertain that a reviewer labelled real, by tenant.",
            [Query(_reviews("tenant", 'label="real",outcome="overturned"'), "{{tenant}}")],
            kind="bargauge",
        ),
        Panel(
            "Found by reviewers only",
            "Photos that a reviewer labelled AI-generated against the verdict, by tenant.",
            [Query(_reviews("tenant", 'label="ai_generated",outcome="overturned"'), "{{tenant}}")],
            kind="bargauge",
        ),
    ],
)

_TIME = Row(
    "Over time",
    [
        Panel(
            "Verdicts an hour",
            "By label.",
            [Query(_verdicts("label", window="1h"), "{{label}}")],
            stack=True,
            width=12,
        ),
        Panel(
            "Share called AI-generated",
            "Of the verdicts of an hour, by tenant.",
            [
                Query(
                    _verdicts("tenant", 'label="ai_generated"', "1h")
                    + f" / clamp_min({_verdicts('tenant', window='1h')}, 1)",
                    "{{tenant}}",
                )
            ],
            unit="percentunit",
            width=12,
            maximum=1,
        ),
        Panel(
            "Photos accepted an hour",
            "By the gateway; catalogs' photos come by another way.",
            [Query("sum(increase(detector_images_accepted_total[1h]))", "photos")],
            width=12,
        ),
        Panel(
            "Catalogs finished an hour",
            "Bulk submissions that became terminal.",
            [Query("sum(increase(detector_ingest_catalogs_finished_total[1h]))", "catalogs")],
            width=12,
        ),
    ],
)

BOARD = Board(
    uid="detector-business",
    title="Detector / Business",
    description="What do the marketplaces get? Counted from the database, a minute late.",
    rows=[_TOTALS, _TENANTS, _TIME],
    variables=[Variable("tenant", "detector_tenant_images_open", "tenant")],
)
