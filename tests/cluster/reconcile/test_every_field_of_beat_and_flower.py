"""Every field of beat and Flower, set and taken out again: the children show it, and end where they began."""

import every_field

from reconciler.model import PERSISTENT_VOLUME_CLAIM

pytest_plugins = ("reconciling", "every_field_tried")

NOT_SHOWN = {"flower.auth.external": "it allows an Ingress or a Service, and a proxy asks"}
WHILE_SET, AFTERWARDS = (False, True, False), (False, False, True)
OF_A_CLAIM = {"size": WHILE_SET, "accessMode": WHILE_SET, "storageClassName": AFTERWARDS}
REFUSED = {  # Kubernetes does not let a claim change, but be given a class
    f"{volume}.{field}": when for volume in ("beat.storage", "flower.persistence") for field, when in OF_A_CLAIM.items()
}
STAYS = {
    "beat.storage.storageClassName": "refused, see above",
    "flower.persistence.storageClassName": "likewise",
    "flower.service.nodePort": "without a wish the API server leaves the port that the Service has",
}


def is_tried(field):
    return field.startswith(every_field.BEAT_AND_FLOWER)


def test_a_field_that_is_set_and_taken_out_leaves_no_trace(told, field):
    app = told[field]
    refused = tuple(map(bool, app.problems))
    assert refused == REFUSED.get(field, (False, False, False)), app.problems
    assert [step.ref.kind for step in app.unsettled] == [PERSISTENT_VOLUME_CLAIM.name] * refused[1]
    assert (app.during != app.before) == (field not in NOT_SHOWN and not refused[1])
    assert (app.after == app.before) == (field not in STAYS)
