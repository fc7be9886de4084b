"""The cost takes its place in a report, and can be corrected there."""

from fruits_contract.report_cost import UNKNOWN, with_actual


def test_the_cost_takes_its_place_again_and_again() -> None:
    page = f"<p>Actual: {UNKNOWN}.</p>"
    first, second = with_actual(page, "1.23 USD"), with_actual(with_actual(page, "1.23 USD"), "5.00 USD")
    assert "1.23 USD" in first and "known once" not in first
    assert second == first.replace("1.23", "5.00")


def test_a_report_without_the_place_stays_as_it_is() -> None:
    assert with_actual("<p>an earlier release</p>", "1.00 USD") == "<p>an earlier release</p>"
