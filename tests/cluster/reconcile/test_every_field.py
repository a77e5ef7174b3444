"""Every field of an app and its workers, set and taken out again: the children show it, and end where they began."""

import every_field

pytest_plugins = ("reconciling", "every_field_tried")

NOT_SHOWN = {
    "celeryVersion": "it decides what else is allowed",
    "reconcile": "Apply is the default, and all others do not touch the children",
    "broker.type": "the URL says it too; without one KEDA needs it, and it may not be left out",
    "workers[].scaling.whenSilent": "it is read by who scales, and no child has it",
    "workers[].scaling.queue.maxWaitSeconds": "likewise",
    "workers[].env[].valueFrom.fieldRef.apiVersion": "v1 is the default, and there is no other",
    "workers[].initContainers[].livenessProbe.successThreshold": "1 is the default, and there is no other",
}
DROPPED_LATER = {
    "workers[].volumes[].ephemeral.volumeClaimTemplate.spec.volumeAttributesClassName": "of the claim made of it",
}


def is_tried(field):
    return not field.startswith(every_field.BEAT_AND_FLOWER)


def test_every_field_has_an_example(release):
    taken = {field for field in every_field.needed() if not every_field.is_refused(field, release)}
    assert taken - every_field.trials(release).keys() == set()


def test_a_field_that_is_set_and_taken_out_leaves_no_trace(told, field, release):
    app = told[field]
    assert (app.problems, app.unsettled) == (("", "", ""), ())
    is_dropped = every_field.is_dropped(field, release) and field not in DROPPED_LATER
    if every_field.trials(release)[field].gone[-2:-1] == ("sources",):
        is_dropped = False  # an empty one stays
    is_hidden = field in NOT_SHOWN or is_dropped
    assert (app.during != app.before) == (not is_hidden)
    assert app.after == app.before


def test_what_the_server_writes_in_its_own_way_is_not_changed_by_the_cluster(told):
    """But for fields behind a feature gate, which it drops: of those the app is warned anyway."""
    said = {app.altered for app in told.values() if app.altered}
    assert {words for words in said if "it is dropped unless the feature gate" not in words} == set()
