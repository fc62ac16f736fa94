"""Scores of one's own runs of the LM Evaluation Harness."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "quality_score",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("kept_at", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        if_not_exists=True,
    )
