import pytest

from render import naming


def test_a_selector_is_part_of_the_pods_labels_and_these_of_all_labels():
    selector, pod, every = (of("shop", "mail") for of in (naming.selector, naming.pod_labels, naming.labels))
    assert selector.items() < pod.items() < every.items()


def test_a_selector_holds_our_own_two_labels_and_never_changes():
    assert naming.selector("shop", "mail") == {"celeryproject.org/app": "shop", "celeryproject.org/component": "mail"}


def test_who_manages_a_child_is_not_written_on_its_pods():
    """Render and reconciler differ in it: on the pods it would restart them when the one takes over from the other."""
    assert naming.labels("shop", "mail").keys() - naming.pod_labels("shop", "mail").keys() == {naming.MANAGED_BY_LABEL}


@pytest.mark.parametrize(
    ("queue", "prefix", "name"),
    [("mail", "", "mail"), ("mail.high", "shop.", "shop-mail-high"), ("a:b_c-d.fifo", "", "a_b_c-d.fifo")],
)
def test_a_queue_on_sqs_is_called_what_kombu_calls_it(queue, prefix, name):
    assert naming.sqs_queue(queue, prefix) == name
