"""A number that does not come out again is named; records of one machine are not asked for."""

import copy

import pytest

from services.training.evaluate.reevaluate import differences

SHIPPED = {
    "splits": {"test": {"clean": {"n_real": 600, "auc": 0.9, "auc_interval": [0.88, 0.92]}}},
    "by_source": {"test": [{"label": "real", "source": "shop", "n": 4, "called_real": 0.5}]},
    "validation": {"auc": {"clean": 0.95}, "history": [1, 2], "minutes": 40.0},
    "latency": {"inference_ms_p50": 9.0},
    "peers": {
        "source": {"other": "a.csv", "run": "1.1.0"},
        "splits": {"test": {"clean": {"other": {"auc": 0.6}, "run": {"auc": 0.5}}}},
    },
}


def changed(path, value):
    report = copy.deepcopy(SHIPPED)
    node = report
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return report


def test_the_same_report_has_no_difference():
    assert differences(SHIPPED, copy.deepcopy(SHIPPED)) == []


@pytest.mark.parametrize(
    ("path", "value", "good"),
    [
        (("splits", "test", "clean", "auc"), 0.903, True),
        (("splits", "test", "clean", "auc"), 0.91, False),
        (("splits", "test", "clean", "auc_interval"), [0.87, 0.92], True),
        (("splits", "test", "clean", "auc_interval"), [0.85, 0.92], False),
        (("splits", "test", "clean", "n_real"), 601, False),
        (("by_source", "test", 0, "called_real"), 0.75, True),  # one photo of four
        (("by_source", "test", 0, "called_real"), 1.0, False),
        (("by_source", "test", 0, "source"), "another", False),
        (("by_source", "test"), [], False),
        (("validation", "auc"), {}, False),
        (("validation", "minutes"), 3.0, True),
        (("latency", "inference_ms_p50"), 90.0, True),
        (("peers", "splits", "test", "clean", "other", "auc"), 0.7, False),
    ],
)
def test_what_counts_as_a_difference(path, value, good):
    found = differences(SHIPPED, changed(path, value))
    assert (found == []) is good
    if not good:
        assert str(path[1]) in found[0]


def test_peers_are_compared_only_where_their_scores_are():
    again = copy.deepcopy(SHIPPED)
    del again["peers"]["splits"]["test"]["clean"]["run"]
    del again["peers"]["source"]["run"]
    assert differences(SHIPPED, again) == []
    again["peers"]["splits"]["test"]["clean"]["other"]["auc"] = 0.7
    assert len(differences(SHIPPED, again)) == 1
    del again["peers"]
    assert differences(SHIPPED, again) == []


def test_a_missing_part_is_named():
    again = copy.deepcopy(SHIPPED)
    del again["splits"]["test"]["clean"]
    assert differences(SHIPPED, again) == ["splits.test.clean is missing"]
