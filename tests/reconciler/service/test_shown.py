"""reconciler/service/shown.py: what is said of what is not there."""

from types import SimpleNamespace

import pytest

from reconciler.cluster.client import Listed, Where
from reconciler.cluster.errors import NotFound
from reconciler.service import shown

ALL = "; -A shows those of all namespaces"
NOWHERE = {
    "a namespace": (Where("shop"), f"there are no CeleryApps in namespace shop{ALL}"),
    "the cluster": (Where(), "there are no CeleryApps in the cluster"),
    "labels": (Where("shop", "a=b,c"), f"there are no CeleryApps labelled a=b,c in namespace shop{ALL}"),
    "labels in the cluster": (Where(None, "a=b"), "there are no CeleryApps labelled a=b in the cluster"),
}


@pytest.mark.parametrize(("where", "said"), NOWHERE.values(), ids=NOWHERE)
def test_where_there_is_no_app_is_said(where, said):
    cluster = SimpleNamespace()  # which is not asked
    assert list(shown.notes(cluster, where, [])) == [said]


def test_an_app_without_the_labels_is_not_said_to_be_missing():
    cluster = SimpleNamespace(list=lambda *_: Listed([], "1"), has_namespace=lambda _: True)
    with pytest.raises(NotFound, match=r"^there is no CeleryApp shop labelled a=b in namespace web$"):
        shown.apps(cluster, Where("web", "a=b"), ["shop"])
