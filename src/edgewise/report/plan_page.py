"""The page of `edgewise plan`, as HTML and as Markdown."""

from edgewise.records import Plan
from edgewise.report.plan_plots import plan_plots
from edgewise.report.plan_tables import figures_table, plan_tables
from edgewise.report.template import fill


def render_plan(plan: Plan) -> str:
    """Give the page, which needs nothing from outside.

    Raises
    ------
    MissingExtra
        When Jinja2 is not installed.
    """
    name = plan.basis.name if plan.basis is not None else "plan"
    return fill(
        "plan.html.j2",
        project=name,
        plan=plan,
        notes=plan.certainty.notes if plan.certainty is not None else (),
        charts=plan_plots(plan),
        tables=[*plan_tables(plan), figures_table(plan)],
    )


def plan_markdown(plan: Plan) -> str:
    """Give the plan in Markdown, without plots."""
    parts = [f"# {plan.recommendation}"]
    notes = plan.certainty.notes if plan.certainty is not None else ()
    if plan.warnings or notes:
        lines = [f"- check: {words}" for words in plan.warnings] + [f"- {one}" for one in notes]
        parts.append("\n".join(lines))
    for table in [*plan_tables(plan), figures_table(plan)]:
        parts.append(f"## {table.title}\n\n{table.markdown}")
    return "\n\n".join(parts) + "\n"
