"""Every graph is built, and every input of every step comes from somewhere."""

import json

import pytest
from nipype.interfaces.base import isdefined

from anonymi_bids.graphs.deface import METHODS
from anonymi_bids.graphs.group import init_group_wf
from anonymi_bids.graphs.release import init_release_wf
from anonymi_bids.graphs.session import graph_name, init_image_wf, init_participants_wf
from anonymi_bids.settings import Settings, merge


@pytest.fixture
def evidence(tmp_path):
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps({"image": "x"}))
    return str(path)


def unfed_inputs(workflow):
    """Mandatory inputs of a graph's steps that are neither set nor connected."""
    graph = workflow._graph
    unfed = []
    for node in graph.nodes():
        if hasattr(node, "_graph"):
            continue
        fed = {pair[1] for *_, data in graph.in_edges(node, data=True) for pair in data["connect"]}
        for name in node.inputs.traits(mandatory=True):
            if name not in fed and not isdefined(getattr(node.inputs, name)):
                unfed.append(f"{node.name}.{name}")
    return unfed


@pytest.mark.parametrize("method", sorted(METHODS))
def test_methods_have_one_signature(method):
    workflow = METHODS[method](settings=Settings())
    assert {"inputnode", "outputnode"} <= set(workflow.list_node_names())
    assert workflow.get_node("inputnode").inputs.copyable_trait_names() == ["evidence_file"]
    assert workflow.get_node("outputnode").inputs.copyable_trait_names() == ["evidence_file"]
    assert unfed_inputs(workflow) == []


def test_the_release_graph_asks_the_gates_before_it_admits(tmp_path):
    workflow = init_release_wf(settings=Settings(), output_dir=str(tmp_path))
    assert unfed_inputs(workflow) == []
    order = {node.name: node for node in workflow._graph.nodes()}
    import networkx

    assert networkx.has_path(workflow._graph, order["run_gates"], order["release_image"])
    assert not networkx.has_path(workflow._graph, order["release_image"], order["run_gates"])


def test_an_image_passes_every_step_once(tmp_path):
    workflow = init_image_wf(settings=Settings(), output_dir=str(tmp_path))
    names = [name.split(".")[-1] for name in workflow.list_node_names()]
    steps = (
        "carry_region",
        "mask_deface",
        "clean_metadata",
        "run_gates",
        "extract_features",
        "make_qc",
        "release_image",
    )
    for step in steps:
        assert names.count(step) == 1


def test_sessions_and_images_side_by_side(tmp_path, evidence):
    workflow = init_participants_wf(
        sessions=[
            ("sub-01_ses-a", evidence, [evidence, evidence]),
            ("sub-02", evidence, [evidence]),
        ],
        settings=Settings(),
        output_dir=str(tmp_path),
        work_dir=str(tmp_path / "work"),
    )
    names = workflow.list_node_names()
    assert sum(name.endswith("find_head") for name in names) == 2
    assert sum(name.endswith("release_image") for name in names) == 3


def test_every_setting_a_step_uses_is_an_input_of_it(tmp_path):
    one, other = (
        init_image_wf(settings=Settings(seed=seed), output_dir=str(tmp_path)) for seed in (1, 2)
    )
    for step in ("carry_region", "deface_wf.mask_deface", "release_wf.clean_metadata"):
        assert one.get_node(step).inputs.seed != other.get_node(step).inputs.seed


def test_the_group_graph_is_whole(tmp_path):
    workflow = init_group_wf(
        settings=Settings(), output_dir=str(tmp_path), work_dir=str(tmp_path / "work")
    )
    assert unfed_inputs(workflow) == []
    assert {"run_audit", "write_report"} <= set(workflow.list_node_names())


def test_names_of_graphs_are_legal():
    assert graph_name("sub-01_ses-pre+x") == "sub_01_ses_pre_x_wf"


def test_landmarks_in_a_sidecar_are_a_fault_unless_the_policy_lets_them_out():
    """The step before and the gate are told by the policy, each on its own."""
    closed = init_release_wf(settings=Settings(), output_dir="/x")
    opened = init_release_wf(
        settings=merge(Settings(), {"deface": {"fiducials": True}}), output_dir="/x"
    )
    for workflow, wanted in ((closed, False), (opened, True)):
        for name in ("head_geometry", "clean_metadata", "run_gates"):
            assert workflow.get_node(name).inputs.fiducials is wanted
