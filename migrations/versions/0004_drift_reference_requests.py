"""drift: references that an operator chooses, an evaluation among them

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift_reference_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ai_share", sa.Double(), nullable=True),
        sa.Column("manifest", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("evaluation", sa.LargeBinary(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "choice IN ('evaluation', 'window', 'automatic')",
            name=op.f("ck_drift_reference_requests_choice"),
        ),
        sa.CheckConstraint(
            "choice <> 'window' OR (window_start IS NOT NULL AND window_end IS NOT NULL)",
            name=op.f("ck_drift_reference_requests_window_is_named"),
        ),
        sa.CheckConstraint(
            "window_start < window_end", name=op.f("ck_drift_reference_requests_window")
        ),
        sa.CheckConstraint(
            "choice <> 'evaluation' OR (ai_share IS NOT NULL AND manifest IS NOT NULL)",
            name=op.f("ck_drift_reference_requests_evaluation_is_whole"),
        ),
        sa.CheckConstraint(
            "ai_share >= 0 AND ai_share < 1", name=op.f("ck_drift_reference_requests_ai_share")
        ),
        sa.CheckConstraint(
            "error IS NULL OR finished_at IS NOT NULL",
            name=op.f("ck_drift_reference_requests_error_when_finished"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_reference_requests")),
    )
    op.add_column("drift_references", sa.Column("request_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_drift_references_request_id_drift_reference_requests"),
        "drift_references",
        "drift_reference_requests",
        ["request_id"],
        ["id"],
        ondelete="RESTRICT",
    )
    for column in ("window_start", "window_end"):
        op.alter_column("drift_references", column, nullable=True)
    op.create_check_constraint(
        op.f("ck_drift_references_window_of_production"),
        "drift_references",
        "source <> 'production' OR (window_start IS NOT NULL AND window_end IS NOT NULL)",
    )


def downgrade() -> None:
    # Checks against an operator's choice go with it: nothing could say what they were of.
    op.execute(
        "DELETE FROM drift_runs USING drift_references r"
        " WHERE reference_id = r.id AND r.window_start IS NULL"
    )
    op.execute("DELETE FROM drift_references WHERE window_start IS NULL")
    op.drop_constraint(
        op.f("ck_drift_references_window_of_production"), "drift_references", type_="check"
    )
    for column in ("window_start", "window_end"):
        op.alter_column("drift_references", column, nullable=False)
    op.drop_constraint(
        op.f("fk_drift_references_request_id_drift_reference_requests"),
        "drift_references",
        type_="foreignkey",
    )
    op.drop_column("drift_references", "request_id")
    op.drop_table("drift_reference_requests")
