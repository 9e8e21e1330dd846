"""The page on value: what the published file says of segments, forecast and retention; harmless, without a network."""

from __future__ import annotations

import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.transforms.publishing.report.test_page import EVIL, Page
from tests.transforms.publishing.report.valued import ValuedCompany, settings_with_value
from transforms.publishing import PublicationError
from transforms.publishing.report.value import write_value_report
from transforms.publishing.report.value.charts import Series, bars, lines, ticks
from transforms.publishing.report.value.read import bounds


def page_of(home: Path, company: ValuedCompany) -> Page:
    return Page(write_value_report(settings_with_value(home, company)).latest.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(tmp_path_factory.mktemp("home"), ValuedCompany())


def test_the_segment_map_has_every_cell_best_recency_first(page: Page) -> None:
    rows = page.rows("Segment map: buyers by recency score and frequency-and-money score")
    assert [row[0] for row in rows] == [f"Recency R {score}" for score in (5, 4, 3, 2, 1)]
    assert rows[0][1:] == ["0", "0", "0", "0", "6 Champions 66.7 %"]
    assert rows[3][1:] == ["0", "0", "1 At Risk 11.1 %", "0", "0"]
    assert rows[4][1] == "2 Lost 22.2 %"
    assert "1 more bought before and have lapsed." in page.text
    assert page.rows("Cut points between the scores") == [
        ["Recency days", "30", "60", "90", "120", "computed"],
        ["Frequency purchase days", "1", "2", "3", "4", "fixed"],
        ["Monetary EUR", "1,000.50", "2,001.00", "3,001.50", "4,002.00", "computed"],
    ]


def test_moves_are_those_of_the_last_month_and_causes_those_since_the_last_build(page: Page) -> None:
    assert page.rows("Customers whose segment changed since the build before, by cause") == [
        ["New data purchases and returns since, or late ones", "2"],
        ["Time passed the last purchase grew older, or left the window", "1"],
    ]
    matrix = page.tables["Moves between segments in the month, percent of the segment of origin"]
    assert [" ".join(cell.split()) for cell in matrix[0]] == ["From", "Customers", "Champions", "At Risk"]
    assert page.rows("Moves between segments in the month, percent of the segment of origin") == [
        ["Champions", "4", "75 percent", "25 percent"],
        ["No Purchase", "2", "100 percent"],
    ]
    assert page.rows("Greatest moves between segments of the last 2 months")[0] == ["Champions", "Lost", "9"]


def test_the_forecast_is_named_and_counted_by_currency(page: Page) -> None:
    for text in (
        "The forecast for 3 of 4 buyers is that of Pareto/NBD, which passed its diagnostics and was chosen by the"
        " backtest. In sum it was 13.0 % too low over the days held out.",
        "Expected EUR 752 EUR 250.67 on average, EUR 40.00 in the middle",
        "Repurchase rate 65.0 % +5.0 pts",
    ):
        assert text in page.text, text
    bands = page.rows("Expected value of 3 buyers, EUR")
    assert [row for row in bands if row[1] != "0"] == [
        ["20", "1", "33.3 %"],
        ["50", "1", "33.3 %"],
        ["500+", "1", "33.3 %"],
    ]
    assert sum(int(row[1]) for row in page.rows("Value so far of 1 buyers, JPY")) == 1
    assert "90,752" not in page.text


def test_the_backtest_names_the_loser_and_shows_the_chosen_alone(page: Page) -> None:
    assert page.rows("Forecasts of the days held out, best first") == [
        ["Pareto/NBD Chosen", "0.794", "1.600", "−13.0 %", "0.612", "0.755", "0.700"],
        ["The customer's own rate", "1.038", "2.000", "47.0 %", "0.500", "–", "0.700"],
        ["NBD, nobody leaves loses to a plain rule", "1.200", "2.500", "90.0 %", "0.400", "0.600", "0.700"],
    ]
    decile = page.rows("Purchase days in the holdout by tenth of the forecast: Pareto/NBD")
    assert decile[0] == ["1", "70", "0.200", "0.300"] and len(decile) == 10
    assert page.rows("Purchase days in the holdout by repeat purchases before: Pareto/NBD")[-1][0] == "7+"
    weeks = page.rows("Repeat purchase days, added up week by week")
    assert weeks[49][0] == "50" and weeks[50][0] == "51, held out" and len(weeks) == 78


@pytest.mark.parametrize(
    ("within", "expected", "said"),
    [
        (
            *(0.914, 0.93),
            "91.4 % of the customers bought as often as their interval of likely purchase days said; 93.0 % were"
            " expected to, 80 % or more because counts are whole.",
        ),
        (0.66, 0.83, "The intervals were too narrow"),
    ],
)
def test_it_says_how_many_lay_within_their_intervals(tmp_path: Path, within, expected, said: str) -> None:
    row = ("nbd", "chosen", None, 180, 700, 0.8, 1.6, -0.13, 0.6, 0.7, 0.7, within, expected, False)
    text = page_of(tmp_path, ValuedCompany().having(clv_backtest_metrics=[row])).text
    assert said in text and ("too narrow" in text) == (within < 0.8)


def test_of_a_rule_without_intervals_it_says_nothing_of_them(tmp_path: Path) -> None:
    row = ("own_rate", "chosen", None, 180, 700, 0.8, 1.6, -0.13, 0.6, None, 0.7, None, None, False)
    assert "likely purchase days" not in page_of(tmp_path, ValuedCompany().having(clv_backtest_metrics=[row])).text


def test_retention_says_what_is_not_over_yet(page: Page) -> None:
    assert page.rows("Cohorts: percent of customers with a purchase day by months since the first purchase") == [
        ["Apr 2025", "40", "25", "– not over"],
        ["May 2025", "30", "– not over"],
        ["Jun 2025", "20"],
    ]
    curve = page.rows("Share of buyers who have bought again, by days since the first purchase")
    assert [row[0] for row in curve] == ["7", "14", "30", "60", "90", "180"]
    # The last known step holds until the next: at 60 days that of day 45.
    assert curve[3][1] == f"{100 * (1 - math.exp(-45 / 60)):.1f}\u00a0%".replace("\u00a0", " ")
    assert "Second purchase 45 days until half of the new buyers have bought again" in page.text


def test_the_model_card_gives_parameters_with_errors_and_why_a_fit_was_rejected(page: Page) -> None:
    assert page.rows("Models: how often customers buy") == [
        ["Pareto/NBD Chosen", "Accepted", "888", "-9594.98", "r = 0.553 ± 0.0476, alpha = 74.05 ± 5.9"],
        ["NBD, nobody leaves the Hessian is flat", "rejected", "888", "-9999.00", "r = 0.4"],
    ]
    assert page.rows("Models: how much a purchase day brings")[0][0] == "Gamma-Gamma EUR Chosen"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "Nobody has bought yet, so there is nothing to forecast."),
        (
            [("c", "EUR", "5.00", None, "historic", "not_fitted", "short_history: 20 days of history, 180 are needed")],
            "Nothing is predicted in this publication: 20 days of history, 180 are needed. What customers have brought"
            " is shown instead.",
        ),
        (
            [("c", "EUR", "5.00", "9.00", "mbg_nbd", "fallback", "hessian: the Pareto fit is flat")],
            "A lesser model stands in: MBG/NBD (the Pareto fit is flat).",
        ),
        (
            [("c", "EUR", "5.00", "9.00", "own_rate", "naive", None)],
            "No model did better than a plain rule, so the rule is used: The customer's own rate.",
        ),
    ],
)
def test_where_no_model_holds_one_sentence_says_so(tmp_path: Path, rows: list[Any], said: str) -> None:
    assert said in page_of(tmp_path, ValuedCompany().having(customer_clv=rows)).text


def test_a_company_without_any_row_has_a_page(tmp_path: Path) -> None:
    text = page_of(tmp_path, ValuedCompany({})).text
    for said in (
        "Nobody has bought yet, so there is nothing to forecast.",
        "Nobody has bought in the past twelve months.",
        "No earlier day was run",
        "No complete month yet",
        "No backtest in this publication.",
        "No model was run in this publication.",
    ):
        assert said in text, said


def _evil() -> ValuedCompany:
    """The company with a script in every text, the few codes that the page branches on left."""
    kept = {"chosen", "candidate", "computed", "purchases", "spend", "recency", "monetary", "Lapsed", "accepted"}

    def row(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            EVIL if isinstance(v, str) and v not in kept and not re.fullmatch(r"-?[\d.:\- ]+|\{.*\}", v) else v
            for v in values
        )

    return ValuedCompany({table: [row(tuple(one)) for one in rows] for table, rows in ValuedCompany().rows.items()})


def test_nothing_that_comes_from_outside_becomes_part_of_the_page(tmp_path: Path) -> None:
    page = page_of(tmp_path, _evil())
    tags = {tag for tag, _ in page.tags}
    assert "script" not in tags and "img" not in tags
    assert "alert('x')" in page.text
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]
    (policy,) = [a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv")]
    assert policy and policy.startswith("default-src 'none'; style-src 'sha256-")
    assert {a["href"] for tag, a in page.tags if tag == "a" and not str(a["href"]).startswith("#")} == {"latest.html"}


def test_every_chart_names_itself_and_has_its_figures_in_a_table(page: Page) -> None:
    names = {a["aria-label"] for tag, a in page.tags if tag == "svg" and a.get("role") == "img"}
    assert len(names) == 7 and names <= set(page.tables)


def test_the_oldest_copies_go_and_those_of_the_other_page_stay(tmp_path: Path) -> None:
    for day in range(1, 5):
        settings = settings_with_value(tmp_path, ValuedCompany(), f"2025-07-0{day} 03:04:05")
        settings = settings.model_copy(update={"reports_kept": 2})
        settings.reports.mkdir(exist_ok=True)
        (settings.reports / "20250101T000000Z-as-of-2025-01-01-01234567.html").write_text("the other page")
        write_value_report(settings)
    assert sorted(path.name for path in settings.reports.iterdir()) == [
        "20250101T000000Z-as-of-2025-01-01-01234567.html",
        *(f"2025070{day}T030405Z-as-of-2025-06-30-01234567.value.html" for day in (3, 4)),
        "value.html",
    ]


def test_a_publication_of_an_older_version_is_refused(tmp_path: Path) -> None:
    settings = settings_with_value(tmp_path, ValuedCompany())
    with duckdb.connect(settings.published) as connection:
        connection.execute("DROP TABLE marts.rfm_migration")
    with pytest.raises(PublicationError, match="no publication of this version"):
        write_value_report(settings)
    assert not settings.reports.exists()


@pytest.mark.parametrize(
    ("high", "scale"),
    [
        (0, [0, 1]),
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (7, [0, 2, 4, 6, 8]),
        (0.3, [0, 0.1, 0.2, 0.3]),
        (1234, [0, 250, 500, 750, 1000, 1250]),
    ],
)
def test_scales_are_round_and_hold_the_greatest_value(high: float, scale: list[float]) -> None:
    assert ticks(high) == pytest.approx(scale)


def test_bars_are_as_tall_as_their_values() -> None:
    drawn = str(bars("t", ["a", "b"], [Series("s", "customers", [10, 5]), Series("u", "revenue", [None, 0])], "x"))
    heights = [float(height) for height in re.findall(r'<rect class="customers"[^>]* height="([\d.]+)"', drawn)]
    assert heights[0] == pytest.approx(2 * heights[1]) and "revenue" not in drawn


def test_a_curve_of_steps_stays_until_the_next_one() -> None:
    drawn = str(lines("t", [0, 10], [Series("s", "customers", [0.0, 1.0])], "x", steps=True))
    points = re.findall(r'<polyline class="line customers" points="([^"]+)"', drawn)[0].split()
    assert [point.split(",")[0] for point in points] == ["46.0", "392.0", "392.0"]
    assert points[0].split(",")[1] == points[1].split(",")[1] != points[2].split(",")[1]


@pytest.mark.parametrize(
    ("low", "high", "edges"),
    [
        (12, 700, [20, 50, 100, 200, 500]),
        (0, 0, [0.01]),
        (90000, 90000, [100000]),
        # More than eleven: tens alone.
        (-5, 300, [0.01, 0.1, 1, 10, 100]),
    ],
)
def test_bands_of_value_have_round_edges(low: float, high: float, edges: list[float]) -> None:
    assert bounds(low, high) == pytest.approx(edges)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_its_screen_and_asks_for_nothing(tmp_path: Path, width: int) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    companies = {"plain": ValuedCompany(), "evil": _evil(), "empty": ValuedCompany({})}
    files = {
        name: write_value_report(settings_with_value(tmp_path / name, company)).latest
        for name, company in companies.items()
    }
    seen: dict[str, int] = {}
    complaints: list[str] = []
    requests: list[str] = []

    def look() -> None:
        with sync_api.sync_playwright() as playwright:
            try:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            except sync_api.Error as error:
                pytest.skip(f"no Chromium: {error}")
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.on("request", lambda request: requests.append(request.url))
            page.on("console", lambda message: complaints.append(message.text))
            for name, file in files.items():
                page.goto(file.as_uri())
                seen[name] = page.evaluate("document.documentElement.scrollWidth")
            browser.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(look).result()
    assert {name: found for name, found in seen.items() if found > width} == {}
    assert complaints == []
    assert sorted(set(requests)) == sorted(file.as_uri() for file in files.values())
