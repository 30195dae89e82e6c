"""Known answers of the statistics; each number was worked out independently of this code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from anonymi_bids.audit import gallery, rates, resampling, scores


def near(value: object) -> object:
    return pytest.approx(value, abs=6e-7)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (70, 84, 0.736200, 0.905776),
        (80, 84, 0.882543, 0.986875),
        (0, 20, 0, 0.168433),
        (0, 50, 0, 0.071122),
        (0, 100, 0, 0.036217),
        (0, 182, 0, 0.020065),
        (20, 20, 0.831567, 1),
        (30, 30, 0.884297, 1),
        (9, 9, 0.663733, 1),
        (15, 182, 0.046862, 0.132291),
        (107, 182, 0.512708, 0.660204),
        (152, 157, 0.927247, 0.989580),
        (8, 29, 0.127340, 0.472384),
    ],
)
def test_clopper_pearson(hits: int, n: int, low: float, high: float) -> None:
    assert rates.clopper_pearson(hits, n) == near((low, high))
    made = rates.rate(hits, n)
    assert (made.low, made.high) == near((low, high))
    assert made.value == hits / n


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(70, 84, 0.739470, 0.898043), (80, 84, 0.883867, 0.981328)],
)
def test_wilson(hits: int, n: int, low: float, high: float) -> None:
    assert rates.wilson(hits, n) == near((low, high))


@pytest.mark.parametrize(
    ("hits", "n", "upper"),
    [
        (0, 20, 0.139108),
        (0, 59, 0.049508),
        (0, 100, 0.029513),
        (0, 299, 0.009969),
        (15, 182, 0.124072),
        (8, 29, 0.442936),
    ],
)
def test_upper_bound(hits: int, n: int, upper: float) -> None:
    assert rates.upper_bound(hits, n) == near(upper)
    if hits == 0:
        assert rates.rule_of_three(n) == near(upper)


@settings(deadline=None)
@given(st.integers(1, 300), st.data())
def test_bounds_agree_with_scipy(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    exact = stats.binomtest(hits, n).proportion_ci(method="exact")
    assert rates.clopper_pearson(hits, n) == pytest.approx((exact.low, exact.high), abs=1e-9)
    less = stats.binomtest(hits, n, alternative="less").proportion_ci(method="exact")
    assert rates.upper_bound(hits, n) == pytest.approx(less.high, abs=1e-9)
    score = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert rates.wilson(hits, n) == pytest.approx((score.low, score.high), abs=1e-9)


def test_no_person_says_nothing() -> None:
    empty = rates.rate(0, 0)
    assert np.isnan(empty.value)
    assert (empty.low, empty.high, empty.upper95) == (0, 1, 1)
    with pytest.raises(ValueError, match="cannot be"):
        rates.clopper_pearson(3, 2)


TEN_RANKS = [1, 1, 1, 2, 3, 5, 10, 1, 1, 20]


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, 1), (2, 0.964646), (10, 0.795544), (20, 0.702442), (50, 0.582020), (100, 0.5)],
)
def test_gallery_size_exact(size: int, expected: float) -> None:
    assert gallery.rank_k_at_size(TEN_RANKS, 100, size) == near(expected)


def test_gallery_size_single_rank() -> None:
    assert gallery.rank_k_at_size([3], 20, 10) == near(5 / 19)
    assert gallery.rank_k_at_size([6], 100, 20, k=5) == near(0.999837)
    assert gallery.rank_k_at_size([30], 100, 20, k=5) == near(0.281098)
    assert gallery.rank1_curve([3], 20, [1, 10]) == near([1, 5 / 19])
    with pytest.raises(ValueError, match="cannot be drawn"):
        gallery.rank_k_at_size([1], 20, 21)


def test_gallery_size_agrees_with_draws(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(30, 30)) + 1.5 * np.eye(30)
    whole, _ = rates.ranks(matrix, np.arange(30))
    drawn = []
    for _ in range(3000):
        probe = rng.integers(30)
        others = rng.choice(np.delete(np.arange(30), probe), 9, replace=False)
        drawn.append(matrix[probe, probe] > matrix[probe, others].max())
    assert gallery.rank_k_at_size(whole, 30, 10) == pytest.approx(np.mean(drawn), abs=0.03)


@pytest.mark.parametrize(
    ("false_match", "size", "expected"),
    [
        (1e-3, 100, 0.905698),
        (1e-3, 1000, 0.368063),
        (1e-4, 10_000, 0.367898),
        (1e-6, 1_000_000, 0.367880),
    ],
)
def test_independent_rank1(false_match: float, size: int, expected: float) -> None:
    assert gallery.independent_rank1(false_match, size) == near(expected)


def test_fpir() -> None:
    assert scores.fpir(1e-4, 1000) == near(0.095167)
    assert scores.fpir(1e-5, 182) == pytest.approx(0.001818, abs=6e-7)


@pytest.mark.parametrize(
    ("separation", "size", "expected"),
    [
        (3, 2, 0.983053),
        (3, 20, 0.846776),
        (3, 100, 0.677857),
        (3, 182, 0.607284),
        (3, 1000, 0.411597),
        (3, 10_000, 0.207763),
        (5, 2, 0.999797),
        (5, 20, 0.996790),
        (5, 182, 0.982045),
        (5, 1000, 0.950706),
        (5, 10_000, 0.864070),
        (5, 1_000_000, 0.553793),
    ],
)
def test_gaussian_rank1(separation: float, size: int, expected: float) -> None:
    assert gallery.gaussian_rank1(separation, size) == near(expected)


def test_gaussian_auc_and_eer() -> None:
    assert scores.gaussian_auc(5) == near(0.999797)
    assert scores.gaussian_eer(5) == near(0.006210)


@pytest.mark.parametrize(
    ("ratio", "size", "expected"),
    [
        (1e3, 100, 0.909918),
        (1e4, 10_000, 0.500025),
        (1e4, 1_000_000, 0.009901),
        (1e6, 8_000_000_000, 0.000125),
        (20, 20, 0.512821),
    ],
)
def test_posterior(ratio: float, size: int, expected: float) -> None:
    assert scores.posterior(ratio, size) == near(expected)


@pytest.mark.parametrize(
    ("size", "expected"), [(20, 361), (100, 1881), (1000, 18_981), (1_000_000, 18_999_981)]
)
def test_ratio_for_posterior(size: int, expected: float) -> None:
    assert scores.ratio_for_posterior(0.95, size) == pytest.approx(expected, rel=1e-9)
    assert scores.posterior(expected, size) == near(0.95)


def test_positive_predictive_value() -> None:
    assert scores.positive_predictive_value(0.9, 1e-3, 1e-3) == near(0.473934)


@pytest.mark.parametrize(
    ("size", "threshold", "false_match", "true_match"),
    [
        (2, 2, 0.022750, 0.977250),
        (100, 3.148780, 8.198e-4, 0.802676),
        (1000, 3.726689, 9.701e-5, 0.607693),
    ],
)
def test_bayes_threshold(
    size: int, threshold: float, false_match: float, true_match: float
) -> None:
    found = scores.gaussian_threshold(4, size)
    assert found == near(threshold)
    assert stats.norm.sf(found) == near(false_match)
    assert stats.norm.sf(found - 4) == near(true_match)


def test_sample_sizes() -> None:
    assert [rates.people_for_no_hit(limit) for limit in (0.09, 0.05, 0.01)] == [32, 59, 299]
    assert rates.people_for_no_hit(0.05, confidence=0.99) == 90
    one = [rates.people_for_hits(hits, 0.09) for hits in range(6)]
    two = [rates.people_for_hits(hits, 0.09, two_sided=True) for hits in range(6)]
    assert one == [32, 51, 68, 84, 100, 115]
    assert two == [40, 60, 78, 95, 111, 127]


@pytest.mark.parametrize(("limit", "people"), [(0.5, 6), (0.8, 17)])
def test_people_for_a_control(limit: float, people: int) -> None:
    assert rates.people_for_control(limit) == people
    assert rates.clopper_pearson(people, people)[0] >= limit
    assert rates.clopper_pearson(people - 1, people - 1)[0] < limit


def test_mcnemar() -> None:
    found = rates.mcnemar(10, 2)
    assert found.exact == near(0.038574)
    assert found.mid_p == near(0.022461)
    assert found.chi2 == near(5.333333)
    assert found.chi2_corrected == near(4.083333)
    assert rates.mcnemar(0, 5).exact == near(0.0625)
    assert rates.mcnemar(0, 6).exact == near(0.03125)
    assert rates.mcnemar(15, 4).exact == near(0.019211)
    assert rates.mcnemar(0, 0).exact == 1


@pytest.mark.parametrize("n", [12, 40])
def test_fixed_points(n: int) -> None:
    tails = [resampling.fixed_points_tail(n, k) for k in range(1, 7)]
    assert tails == near([0.632121, 0.264241, 0.080301, 0.018988, 0.003660, 0.000594])


def test_fixed_points_of_few(rng: np.random.Generator) -> None:
    # Of the six orders of three, four keep at least one in its place, one keeps all.
    assert resampling.fixed_points_tail(3, 1) == near(4 / 6)
    assert resampling.fixed_points_tail(3, 2) == near(1 / 6)
    assert resampling.fixed_points_tail(3, 4) == near(0)


def test_independent_neighbours() -> None:
    assert rates.guessed_hits_tail(20, 3) == near(0.075484)


def test_permuted_hits_follow_the_law(rng: np.random.Generator) -> None:
    drawn = resampling.permuted_hits(np.eye(20, dtype=bool), 20_000, rng)
    assert (drawn >= 3).mean() == pytest.approx(0.080301, abs=0.006)
    assert resampling.permutation_p(20, drawn) == pytest.approx(1 / 20_001)
    assert resampling.permutation_p(0, drawn) == 1


def test_cmc_and_reciprocal_rank() -> None:
    ranks = [1, 1, 2, 5, 20]
    assert rates.mean_reciprocal_rank(ranks) == near(0.55)
    curve = rates.cmc(ranks, 20)
    assert (curve[0], curve[4]) == near((0.4, 0.8))
    assert curve[-1] == 1
    assert rates.chance_reciprocal_rank(20) == near(0.179887)
    assert rates.chance_reciprocal_rank(100) == near(0.051874)


def test_ranks_and_ties() -> None:
    matrix = [[0.9, 0.1, 0.2], [0.5, 0.5, 0.2], [0.9, 0.8, 0.1], [0.3, 0.3, 0.3]]
    ranks, ties = rates.ranks(matrix, [0, 1, 2, 0])
    assert ranks.tolist() == [1, 1.5, 3, 2]
    assert ties.tolist() == [0, 1, 0, 2]
    assert rates.hit_probability(ranks, ties) == near([1, 0.5, 0, 1 / 3])


def test_verification() -> None:
    genuine, impostor = [0.9, 0.8, 0.7, 0.4], [0.6, 0.5, 0.3, 0.2, 0.1]
    assert scores.auc(genuine, impostor) == near(0.90)
    assert scores.d_prime(genuine, impostor) == near(1.700208)
    assert scores.d_prime(genuine, impostor, ddof=0) == near(1.932581)
    assert scores.fmr(impostor, 0.6) == near(0.2)
    assert scores.fnmr(genuine, 0.6) == near(0.25)
    assert scores.equal_error_rate(genuine, impostor) == near(0.225)


def test_error_curve_is_the_two_rates(rng: np.random.Generator) -> None:
    genuine, impostor = rng.normal(1, 1, 30), rng.normal(0, 1, 50)
    for threshold, false_match, false_miss in zip(
        *scores.error_curve(genuine, impostor), strict=True
    ):
        assert scores.fmr(impostor, threshold) == pytest.approx(false_match)
        assert scores.fnmr(genuine, threshold) == pytest.approx(false_miss)


def test_open_set() -> None:
    mated = [[0.9, 0.2], [0.6, 0.5], [0.1, 0.4]]
    found = scores.open_set(mated, [0, 1, 1], [[0.1, 0.2], [0.7, 0.1]], 0.45)
    assert found.tpir == near(1 / 3)
    assert found.fpir == 0.5
    assert scores.open_set(mated, [0, 1, 1], [[0, 0]], 0.45, rank=2).tpir == near(2 / 3)


@pytest.mark.parametrize(
    ("attack", "chance", "expected"),
    [(0.97, 1 / 157, 0.969808), (0.08, 1 / 182, 0.074917), (1, 1 / 20, 1), (1, 1, 1)],
)
def test_excess_risk(attack: float, chance: float, expected: float) -> None:
    assert rates.excess_risk(attack, chance) == near(expected)


@pytest.mark.parametrize(("n", "pairs"), [(20, 190), (100, 4950), (1000, 499_500)])
def test_pairs(n: int, pairs: int) -> None:
    assert rates.pairs(n) == pairs


def test_bootstrap_people(rng: np.random.Generator) -> None:
    perfect = np.eye(12)
    assert (resampling.bootstrap_people(perfect, 50, rng) == 1).all()
    half = perfect.copy()
    half[:6, :6] = 0
    drawn = resampling.bootstrap_people(half, 400, rng)
    assert drawn.mean() == pytest.approx(0.5, abs=0.05)
    assert drawn.std() > 0.05


def test_bootstrap_agrees_with_one_round_at_a_time(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(25, 25)) + 1.5 * np.eye(25)
    drawn = resampling.bootstrap_people(matrix, 300, np.random.default_rng(5))
    again = np.random.default_rng(5).integers(0, 25, (300, 25))
    for people, value in zip(again, drawn, strict=True):
        hits = []
        for person in people:
            others = np.setdiff1d(people, [person])
            hits.append(matrix[person, person] > matrix[person, others].max())
        assert value == pytest.approx(np.mean(hits), abs=1e-6)


def test_tail_is_that_of_the_law(rng: np.random.Generator) -> None:
    for shape in (-0.3, 0.0, 0.2):
        law = stats.genpareto(shape, scale=2.0)
        found = gallery.fit_tail(law.rvs(200_000, random_state=rng))
        assert found.shape == pytest.approx(shape, abs=0.04)
        for far in law.isf([0.05, 0.01, 0.001]):
            assert found.above(far) == pytest.approx(law.sf(far), rel=0.2)
    assert gallery.fit_tail(np.ones(50)).above([1.5]) == near(0)
    with pytest.raises(ValueError, match="no tail"):
        gallery.fit_tail([1.0] * 19)


def test_binomial_model_is_the_formula() -> None:
    assert gallery.binomial_rank1([1e-3], [100, 1000]) == near([0.905698, 0.368063])
    assert gallery.binomial_rank1([0.0, 1.0], [1, 2]) == near([1, 0.5])


def test_a_straight_line_is_continued(rng: np.random.Generator) -> None:
    sizes = np.array([2, 10, 50])
    line = 0.9 - 0.1 * np.log(sizes)
    assert gallery.logarithmic_rank1(sizes, line, [100]) == near([0.9 - 0.1 * np.log(100)])
    assert gallery.logarithmic_rank1(sizes, line, [1e6]) == near([1e-6])


def test_models_beyond_the_people_at_hand(rng: np.random.Generator) -> None:
    """Impostors that are independent, as the first model takes them, d' = 3: row 14."""
    n = 150
    matrix = rng.normal(size=(n, n)) + 3 * np.eye(n)
    whole, _ = rates.ranks(matrix.T, np.arange(n))
    (name, binomial, band), (other, line, _) = gallery.beyond(matrix, whole, rng, rounds=60)
    assert (name, other) == gallery.MODELS
    sizes = gallery.sizes_beyond(n)
    assert sizes[0] == n
    assert sizes[-1] == 10 * n
    truth = [gallery.gaussian_rank1(3, size) for size in sizes]
    exact = gallery.rank_k_at_size(whole, n, n)
    for model in (binomial, line):
        assert model[0] == pytest.approx(exact, abs=0.05)
        assert model == pytest.approx(truth, abs=0.17)
    assert ((band[:, 0] <= binomial) & (binomial <= band[:, 1])).all()
    assert (np.diff(band, axis=1) < 0.3).all()
    assert (np.diff(binomial) <= 0).all()


@pytest.mark.parametrize("allowed", [0.0, 0.1, 0.25])
def test_open_set_with_each_person_left_out(allowed: float, rng: np.random.Generator) -> None:
    """The same as searching each stranger in a release without them."""
    n = 40
    matrix = rng.normal(size=(n, n)) + 2 * np.eye(n)
    found = scores.open_set_left_out(matrix, allowed)
    without = [np.delete(matrix[:, j], j) for j in range(n)]
    bar = np.sort([column.max() for column in without])[::-1][int(allowed * n)]
    at = np.nextafter(bar, np.inf)
    expected = scores.open_set(matrix.T, np.arange(n), without, at)
    assert (found.tpir, found.fpir) == near((expected.tpir, expected.fpir))
    assert found.fpir <= allowed


def test_thinned_errors_lie_on_the_curve(rng: np.random.Generator) -> None:
    genuine, impostor = rng.normal(2, 1, 60), rng.normal(0, 1, 900)
    points = scores.thinned_errors(genuine, impostor)
    whole = {tuple(row) for row in np.column_stack(scores.error_curve(genuine, impostor)[1:])}
    assert {tuple(row) for row in points} <= whole | {(0.0, 1.0)}
    assert points[0] == near([1, 0])
    assert points[-1] == near([0, 1])
    assert (np.diff(points[:, 0]) <= 0).all()


def test_likelihood_ratio_of_two_gaussians(rng: np.random.Generator) -> None:
    genuine, impostor = rng.normal(2, 1, 20_000), rng.normal(0, 1, 20_000)
    # g(t) / f(t) = exp(2 t − 2)
    for score in (0.5, 1.0, 2.0):
        found = scores.likelihood_ratio(score, genuine, impostor, cap=1000)
        assert found == pytest.approx(np.exp(2 * score - 2), rel=0.15)
    assert scores.likelihood_ratio(5, genuine, impostor, cap=20) == 20
    assert scores.likelihood_ratio(-9, genuine, impostor, cap=20) == 1 / 20
