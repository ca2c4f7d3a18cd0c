// Fills the table of loops for the instruction set this is compiled for.
#pragma once
#include "kernels/loops_attention_internal.h"
#if defined(__AVX512BF16__)
#include "kernels/loops_attention_bf16_internal.h"
#endif
#include "kernels/loops_distill_internal.h"
#include "kernels/loops_elementwise_internal.h"
#include "kernels/loops_loss_internal.h"
#include "kernels/loops_matmul_internal.h"

namespace retort::kernels::RETORT_ISA {

#if !defined(__AVX512BF16__)
constexpr auto attention_pair_bf16 = attention_pair<Bf16>;
constexpr auto attention_backward_pair_bf16 = attention_backward_pair<Bf16>;
#endif

static const Loops kLoops = {
    {matmul_tile<float>, rmsnorm_rows<float>, rmsnorm_backward_rows<float>,
     swiglu_rows<float, float>, swiglu_backward_rows<float>, dropout_rows<float>,
     cross_entropy_rows<float>, distill_dense_rows<float>, distill_sparse_rows<float>,
     attention_pair<float>, attention_backward_pair<float>},
    {matmul_tile<Bf16>, rmsnorm_rows<Bf16>, rmsnorm_backward_rows<Bf16>, swiglu_rows<Bf16, Bf16>,
     swiglu_backward_rows<Bf16>, dropout_rows<Bf16>, cross_entropy_rows<Bf16>,
     distill_dense_rows<Bf16>, distill_sparse_rows<Bf16>, attention_pair_bf16,
     attention_backward_pair_bf16},
    swiglu_rows<Bf16, float>,
    to_bf16_range,
    to_float_range,
    adamw_range,
    sum_of_squares_range,
    exp_range,
    log_range,
    RETORT_ISA_TEXT};

}  // namespace retort::kernels::RETORT_ISA
