"""What of `scaling` the API server refuses in a HorizontalPodAutoscaler it refuses in a CeleryApp, whoever scales."""

import chance
import pytest
import scaling_bounds
import verdicts
import written_text

from render import since

HPAS = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
NO_QUANTITY = "quantities must match the regular expression"


def refused(cluster, scalings):
    """Say of each scaling whether the API server refuses a HorizontalPodAutoscaler that says the same."""
    path, query = HPAS.format(cluster.namespace), {"dryRun": "All", "fieldValidation": "Strict"}
    with cluster.connection() as request:
        found = [request("POST", path, scaling_bounds.autoscaler(scaling), **query) for scaling in scalings]
    unread = {answer.body["message"] for answer in found if answer.status not in (201, 422)}
    assert all(NO_QUANTITY in message for message in unread)
    return [answer.status != 201 for answer in found]


def judges(release, scaling):
    """Say whether a HorizontalPodAutoscaler is judged by it: a release whose gate is off drops the tolerance."""
    off = since.table().gates.get("HPAConfigurableTolerance", {})
    return release not in off or "tolerance" not in str(scaling.get("behavior"))


@pytest.mark.usefixtures("celeryapp_crd")
@pytest.mark.parametrize("engine", scaling_bounds.ENGINES)
def test_the_table_is_what_the_server_says_of_both(cluster, engine, release):
    cases = [*scaling_bounds.cases(engine)]
    expected = [(case.scaling, bool(case.problem)) for case in cases]
    scalings = [case.scaling for case in cases]
    answers = verdicts.answers(cluster, map(scaling_bounds.app, scalings))
    assert [*zip(scalings, (said.stored is None for said in answers), strict=True)] == expected
    judged = [(scaling, is_refused) for scaling, is_refused in expected if judges(release, scaling)]
    scalings = [scaling for scaling, _ in judged]
    assert [*zip(scalings, refused(cluster, scalings), strict=True)] == judged


@pytest.mark.usefixtures("celeryapp_crd")
def test_a_quantity_has_the_same_sign_to_both(cluster, release):
    dice = chance.dice()
    written = [dice.choice(["", "-"]) + written_text.quantity(dice).removeprefix("+") for _ in range(chance.count(300))]
    written += [
        dice.choice(["", "-"]) + text for text in ("0", "00", "0.", ".0", "0.00Gi", "0n", "0e-99", "1e-99", "0E")
    ]
    targets = [{"cpu": {"averageValue": text}} for text in written]
    tolerances = [scaling_bounds.CPU | {"behavior": {"scaleUp": {"tolerance": text}}} for text in written]
    scalings = [{"maxReplicas": 3} | each for each in (*targets, *tolerances) if judges(release, each)]
    answers = verdicts.answers(cluster, map(scaling_bounds.app, scalings))
    here = [said.stored is None for said in answers]
    assert [*zip(scalings, here, strict=True)] == [*zip(scalings, refused(cluster, scalings), strict=True)]
    assert {*here} == {True, False}
