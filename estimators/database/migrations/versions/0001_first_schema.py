"""Prices with their readings; measurements, device profiles and jobs.

Databases from before revisions were counted have some or all of these tables, as `create_all` made them: those stay as
they are, and get the ones they lack.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "price",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("instance_type", sa.String(32), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("option", sa.String(64), nullable=False),
        sa.Column("listing", sa.String(32), nullable=False),
        sa.Column("usd_per_hour", sa.String(40), nullable=False),
        sa.Column("upfront_usd", sa.String(40), nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("first_seen", sa.String(32), nullable=False),
        sa.Column("last_seen", sa.String(32), nullable=False),
        sa.Column("ended", sa.String(32)),
        if_not_exists=True,
    )
    op.create_index("price_current", "price", ["region", "listing", "ended"], if_not_exists=True)
    op.create_index("price_history", "price", ["instance_type", "region", "option"], if_not_exists=True)
    op.create_table(
        "price_reading",
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("listing", sa.String(32), primary_key=True),
        sa.Column("read_at", sa.String(32), nullable=False),
        sa.Column("complete_at", sa.String(32), nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("remarks", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "measurement",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("measured_at", sa.String(32), nullable=False),
        sa.Column("model", sa.String(300), nullable=False),
        sa.Column("engine", sa.String(20), nullable=False),
        sa.Column("accelerator", sa.String(80), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("measurement_engine", "measurement", ["engine", "accelerator", "measured_at"], if_not_exists=True)
    op.create_table(
        "device_profile",
        sa.Column("device", sa.String(80), primary_key=True),
        sa.Column("dtype", sa.String(20), primary_key=True),
        sa.Column("threads", sa.Integer, primary_key=True),
        sa.Column("measured_at", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "profile_job",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("device", sa.String(120), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("message", sa.String(600), nullable=False),
        sa.Column("seconds_left", sa.Float),
        sa.Column("asked_by", sa.String(120), nullable=False),
        sa.Column("asked_at", sa.String(32), nullable=False),
        sa.Column("heartbeat", sa.String(32), nullable=False),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.Column("results", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("profile_job_queue", "profile_job", ["device", "status", "id"], if_not_exists=True)
