# Written by scripts/library_sources.py from the Meson files; a test compares them.
set(pluck_version 0.1.0)
set(pluck_abi_number 1)

set(pluck_headers
    include/pluck/base.h
    include/pluck/config.h
    include/pluck/dump.h
    include/pluck/fasttext.h
    include/pluck/head.h
    include/pluck/llama.h
    include/pluck/pluck.h
    include/pluck/ranks.h
    include/pluck/rng.h
    include/pluck/sampled_softmax.h
    include/pluck/sampler.h
    include/pluck/shard.h
    include/pluck/softmax.h
    include/pluck/speculative.h
    include/pluck/stage.h
    include/pluck/trace.h
    include/pluck/tune.h
    include/pluck/weighted.h
    include/pluck/pluck.hpp)

set(pluck_sources
    lib/base/alloc.c
    lib/base/base.c
    lib/base/bytes.c
    lib/base/exact_sum.c
    lib/base/scalar_math.c
    lib/base/sha256.c
    lib/base/tally.c
    lib/base/text.c
    lib/json/cjson_nodes.c
    lib/json/own_nodes.c
    lib/json/reader.c
    lib/json/tree.c
    lib/json/write.c
    lib/file/array_header.c
    lib/file/gzip.c
    lib/file/integers.c
    lib/file/new_file.c
    lib/file/safetensors.c
    lib/file/source.c
    lib/file/torch_pickle.c
    lib/file/values.c
    lib/file/zip.c
    lib/thread/parallel.c
    lib/thread/pool.c
    lib/vocab/vocab.c
    lib/vocab/vocab_json.c
    lib/vocab/vocab_model.c
    lib/vocab/vocab_text.c
    lib/simd/fp_state.c
    lib/simd/cpu.c
    lib/simd/kernels.c
    lib/simd/kernels_scalar.c
    lib/simd/philox.c
    lib/simd/self_test.c
    lib/softmax/guidance.c
    lib/softmax/sampled_softmax.c
    lib/softmax/softmax.c
    lib/softmax/softmax_family.c
    lib/softmax/softmax_on.c
    lib/rng/rng.c
    lib/history/history.c
    lib/history/suffix_matches.c
    lib/history/token_counts.c
    lib/select/bend.c
    lib/select/boundary.c
    lib/select/custom_view.c
    lib/select/deviation.c
    lib/select/distinct.c
    lib/select/keep.c
    lib/select/mass.c
    lib/select/mass_between.c
    lib/select/membership.c
    lib/select/nearest.c
    lib/select/nucleus.c
    lib/select/order.c
    lib/select/pick.c
    lib/select/pick_many.c
    lib/select/race.c
    lib/select/rank.c
    lib/select/scratch.c
    lib/select/share.c
    lib/select/share_parts.c
    lib/select/tail_sample.c
    lib/select/token_marks.c
    lib/select/token_mask.c
    lib/select/view.c
    lib/select/view_edit.c
    lib/stages/adaptive_p.c
    lib/stages/bad_words.c
    lib/stages/categorical.c
    lib/stages/custom.c
    lib/stages/dry.c
    lib/stages/dynamic_temperature.c
    lib/stages/entmax.c
    lib/stages/epsilon_cutoff.c
    lib/stages/eta_cutoff.c
    lib/stages/exp_decay_length.c
    lib/stages/greedy.c
    lib/stages/gumbel.c
    lib/stages/infill.c
    lib/stages/logit_bias.c
    lib/stages/mask.c
    lib/stages/min_p.c
    lib/stages/min_tokens.c
    lib/stages/mirostat.c
    lib/stages/mirostat_v2.c
    lib/stages/no_repeat_ngram.c
    lib/stages/p_less.c
    lib/stages/params.c
    lib/stages/penalties.c
    lib/stages/registry.c
    lib/stages/smoothing.c
    lib/stages/surprise_state.c
    lib/stages/tail_free.c
    lib/stages/temperature.c
    lib/stages/top_a.c
    lib/stages/top_h.c
    lib/stages/top_k.c
    lib/stages/top_n_sigma.c
    lib/stages/top_p.c
    lib/stages/typical.c
    lib/stages/xtc.c
    lib/sampler/chain.c
    lib/sampler/draw.c
    lib/sampler/items.c
    lib/sampler/outputs.c
    lib/sampler/reconfigure.c
    lib/sampler/sampler.c
    lib/sampler/saved_state.c
    lib/sampler/shard.c
    lib/sampler/slices.c
    lib/sampler/speculative.c
    lib/sampler/trace.c
    lib/sampler/trace_compare.c
    lib/sampler/workspace.c
    lib/config/config.c
    lib/config/config_impl.c
    lib/config/config_keys.c
    lib/config/config_schema.c
    lib/config/config_stages.c
    lib/config/import.c
    lib/config/import_exllamav3.c
    lib/config/import_huggingface.c
    lib/config/import_koboldcpp.c
    lib/config/import_llama_cpp.c
    lib/config/import_ollama.c
    lib/config/import_openai.c
    lib/config/import_read.c
    lib/config/import_text.c
    lib/config/import_vllm.c
    lib/config/import_webui.c
    lib/config/param_json.c
    lib/dump/dump.c
    lib/dump/dump_writer.c
    lib/dump/json_document.c
    lib/dump/json_rows.c
    lib/dump/json_scan.c
    lib/dump/jsonl.c
    lib/dump/llama_kl.c
    lib/dump/npy.c
    lib/dump/npz.c
    lib/dump/raw.c
    lib/dump/reader.c
    lib/dump/safetensors.c
    lib/dump/target_file.c
    lib/dump/tensor_rows.c
    lib/dump/text_rows.c
    lib/dump/torch.c
    lib/weighted/alias.c
    lib/weighted/huffman.c
    lib/weighted/sum_tree.c
    lib/weighted/weighted.c
    lib/heads/adaptive.c
    lib/heads/code_tree.c
    lib/heads/dense.c
    lib/heads/flat.c
    lib/heads/head.c
    lib/heads/head_file.c
    lib/heads/head_query.c
    lib/heads/hierarchical.c
    lib/heads/tree_clusters.c
    lib/heads/tree_huffman.c
    lib/heads/fasttext/fasttext.c
    lib/heads/fasttext/fasttext_file.c
    lib/heads/train/train_checkpoint.c
    lib/heads/train/train_ranks.c
    lib/heads/train/train_step.c
    lib/heads/train/trainer.c
    lib/tune/compare.c
    lib/tune/tune.c
    lib/tune/tune_cuts.c
    lib/tune/tune_fit.c
    lib/tune/tune_pass.c
    lib/tune/tune_row.c)

# Compiled where the preprocessor says that the condition holds.
set(pluck_conditional_sources
    lib/base/platform_posix.c
    lib/base/platform_process_posix.c
    lib/base/platform_windows.c
    lib/base/platform_process_windows.c
    lib/base/platform_wasi.c
    lib/simd/kernels_avx2.c
    lib/simd/kernels_avx512.c
    lib/simd/kernels_neon.c
    lib/simd/kernels_sse2.c
    lib/simd/kernels_wasm.c
    lib/simd/kernels_vector.c)

set(pluck_condition_platform_posix "!defined(_WIN32)")

set(pluck_condition_platform_process_posix "!defined(_WIN32) && !defined(__wasi__)")

set(pluck_condition_platform_windows "defined(_WIN32)")

set(pluck_condition_platform_process_windows "defined(_WIN32)")

set(pluck_condition_platform_wasi "defined(__wasi__)")

set(pluck_condition_kernels_avx2 "defined(__x86_64__)")
set(pluck_flags_kernels_avx2 -mavx2 -mfma -mf16c)

set(pluck_condition_kernels_avx512 "defined(__x86_64__)")
set(pluck_flags_kernels_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512)

set(pluck_condition_kernels_neon "defined(__aarch64__)")

set(pluck_condition_kernels_sse2 "defined(__SSE2__)")
set(pluck_flags_kernels_sse2 -mno-avx -O3)

set(pluck_condition_kernels_wasm "defined(__wasm_simd128__)")
set(pluck_flags_kernels_wasm -O3)

set(pluck_condition_kernels_vector "!defined(__SSE2__) && !defined(__aarch64__) && !defined(__wasm_simd128__) && (defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__riscv_flen) || defined(__powerpc64__) || defined(__s390x__))")
set(pluck_flags_kernels_vector -O3)

# Flags of all files, where the condition holds.
set(pluck_processors
    x86
    s390x
    wasm32)

set(pluck_condition_x86 "defined(__i386__)")
set(pluck_flags_x86 -msse2 -mfpmath=sse)

set(pluck_condition_s390x "defined(__s390x__)")
set(pluck_flags_s390x -fexcess-precision=fast)

set(pluck_condition_wasm32 "defined(__wasm__)")
set(pluck_flags_wasm32 -msimd128)
