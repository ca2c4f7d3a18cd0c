#include <algorithm>

#include "base/check.h"
#include "engine/decode_step_internal.h"
#include "engine/heads_internal.h"

namespace retort::engine {
namespace {

using kernels::PackedMatrix;
using kernels::Rows;
using model::Projection;

bool reads_codes(const PackedGroup& group) {
  return std::any_of(group.begin(), group.end(),
                     [](const PackedMatrix& matrix) { return matrix.quantised(); });
}

int64_t tiles_of(const PackedGroup& group) {
  int64_t tiles = 0;
  for (const PackedMatrix& matrix : group) tiles += matrix.tiles();
  return tiles;
}

struct Share {
  int64_t begin, end;
};
Share share(int64_t count, int thread, int threads) {
  return {count * thread / threads, count * (thread + 1) / threads};
}

}  // namespace

struct DecodeStep::Team {
  int thread;
  int threads;
  base::TeamBarrier* barrier;
  float* scratch;

  Share share_of(int64_t count) const { return share(count, thread, threads); }
  void wait() { barrier->wait(); }

  // This thread's tiles of all the group's products, laid one after another in y.
  void product(const PackedGroup& group, const Rows& x, float* y, int64_t ld_y, bool accumulate) {
    const Share mine = share_of(tiles_of(group));
    int64_t first = 0, column = 0;
    for (const PackedMatrix& matrix : group) {
      const int64_t begin = std::clamp<int64_t>(mine.begin - first, 0, matrix.tiles());
      const int64_t end = std::clamp<int64_t>(mine.end - first, 0, matrix.tiles());
      if (begin < end) {
        kernels::row_product({&matrix, x, y + column, ld_y, accumulate}, begin, end);
      }
      first += matrix.tiles();
      column += matrix.out();
    }
  }
};

DecodeStep::DecodeStep(const EngineWeights& weights, KvPool& pool, const kernels::RopeTable& rope,
                       int64_t rows_max, int64_t rank_max)
    : weights_(weights),
      config_(weights.config()),
      pool_(pool),
      rope_(rope),
      rows_max_(rows_max),
      rank_max_(rank_max),
      residual_(rows_max * config_.width),
      normed_(rows_max * config_.width),
      qkv_(rows_max * config_.qkv_width()),
      attended_(rows_max * config_.q_width()),
      gate_(rows_max * config_.ffn),
      act_(rows_max * config_.ffn),
      logits_(rows_max * config_.vocab) {
  const int64_t widest = std::max({config_.width, config_.q_width(), config_.ffn});
  codes_ = tensor::Buffer<int8_t>(rows_max * widest);
  scales_ = tensor::Buffer<float>(rows_max * (widest / kernels::kCodeBlock + 1));
  sums_ = tensor::Buffer<float>(scales_.size());
  half_sums_ = tensor::Buffer<float>(weights.half_sums() ? 2 * scales_.size() : 0);
  scratch_stride_ = std::max(kernels::paged_attention_scratch(rope.positions()), rank_max);
  scratch_ = tensor::Buffer<float>(scratch_stride_ * base::thread_count());
}

int64_t DecodeStep::memory_bytes() const {
  return 4 * (residual_.size() + normed_.size() + qkv_.size() + attended_.size() + gate_.size() +
              act_.size() + logits_.size() + scales_.size() + sums_.size() + half_sums_.size() +
              scratch_.size()) +
         codes_.size();
}

void DecodeStep::run(std::span<const DecodeRow> rows) {
  count_ = static_cast<int64_t>(rows.size());
  RETORT_CHECK(count_ <= rows_max_, "{} rows", count_);
  rows_ = rows;
  adapted_ = std::count_if(rows.begin(), rows.end(),
                           [](const DecodeRow& row) { return row.adapter != nullptr; });
  base::TeamBarrier barrier(base::thread_count());
  base::parallel_team([&](int thread, int threads) {
    RETORT_CHECK_EQ(threads, base::thread_count());
    Team team{thread, threads, &barrier, scratch_.data() + thread * scratch_stride_};
    const Share mine = team.share_of(count_);
    const PackedMatrix& table = config_.tied_embeddings ? weights_.head()[0] : weights_.embedding();
    for (int64_t r = mine.begin; r < mine.end; ++r) {
      table.get_row(rows_[static_cast<size_t>(r)].token, residual_.data() + r * config_.width);
    }
    for (int64_t layer = 0; layer < config_.layers; ++layer) run_layer(team, layer);
    run_head(team);
  });
}

void DecodeStep::head(const float* residual, int64_t rows) {
  RETORT_CHECK(rows <= rows_max_, "{} rows", rows);
  count_ = rows;
  std::copy_n(residual, rows * config_.width, residual_.data());
  base::TeamBarrier barrier(base::thread_count());
  base::parallel_team([&](int thread, int threads) {
    Team team{thread, threads, &barrier, nullptr};
    run_head(team);
  });
}

Rows DecodeStep::input(int64_t columns, float* values) {
  return {count_,
          columns,
          values,
          codes_.data(),
          scales_.data(),
          sums_.data(),
          half_sums_.size() > 0 ? half_sums_.data() : nullptr};
}

// Thread-owned rows need no barrier before them: the product before them had one behind it.
void DecodeStep::run_layer(Team& team, int64_t index) {
  const PackedLayer& layer = weights_.layers()[static_cast<size_t>(index)];
  const int64_t width = config_.width;
  const int64_t qkv_width = config_.qkv_width();
  const auto normalise = [&](const std::vector<float>& weight, bool to_codes) {
    const Rows x = input(width, normed_.data());
    const Share mine = team.share_of(count_);
    for (int64_t r = mine.begin; r < mine.end; ++r) {
      kernels::norm_row({width, static_cast<float>(config_.norm_eps), residual_.data() + r * width,
                         weight.data(), normed_.data() + r * width});
      if (to_codes) kernels::quantise_row(x, r, 0, width);
    }
  };
  normalise(layer.norm_in, reads_codes(layer.qkv));
  team.wait();
  team.product(layer.qkv, input(width, normed_.data()), qkv_.data(), qkv_width, false);
  team.wait();
  float* const keys = qkv_.data() + config_.q_width();
  add_adapters(team, index,
               {{Projection::q, normed_.data(), width, qkv_.data(), qkv_width},
                {Projection::k, normed_.data(), width, keys, qkv_width},
                {Projection::v, normed_.data(), width, keys + config_.kv_width(), qkv_width}});
  attend(team, index);
  team.wait();
  const Rows attended = input(config_.q_width(), attended_.data());
  if (reads_codes(layer.out)) {
    const Share mine = team.share_of(count_);
    for (int64_t r = mine.begin; r < mine.end; ++r) {
      kernels::quantise_row(attended, r, 0, config_.q_width());
    }
    team.wait();
  }
  team.product(layer.out, attended, residual_.data(), width, true);
  team.wait();
  add_adapters(team, index,
               {{Projection::o, attended_.data(), config_.q_width(), residual_.data(), width}});
  normalise(layer.norm_mid, reads_codes(layer.gate) || reads_codes(layer.up));
  team.wait();
  const Rows mid = input(width, normed_.data());
  team.product(layer.gate, mid, gate_.data(), config_.ffn, false);
  team.product(layer.up, mid, act_.data(), config_.ffn, false);
  team.wait();
  add_adapters(team, index,
               {{Projection::gate, normed_.data(), width, gate_.data(), config_.ffn},
                {Projection::up, normed_.data(), width, act_.data(), config_.ffn}});
  const Rows act = input(config_.ffn, act_.data());
  const Share mine = team.share_of(count_);
  for (int64_t r = mine.begin; r < mine.end; ++r) {
    float* row = act_.data() + r * config_.ffn;
    kernels::swiglu_part(gate_.data() + r * config_.ffn, row, row, config_.ffn);
    if (reads_codes(layer.down)) kernels::quantise_row(act, r, 0, config_.ffn);
  }
  team.wait();
  team.product(layer.down, act, residual_.data(), width, true);
  team.wait();
  add_adapters(team, index,
               {{Projection::down, act_.data(), config_.ffn, residual_.data(), width}});
}

// Rows are shared out where every thread gets one, else the outputs of each.
void DecodeStep::add_adapters(Team& team, int64_t layer,
                              std::initializer_list<Adapted> projections) {
  if (adapted_ == 0) return;
  const bool by_row = adapted_ >= team.threads;
  int64_t number = 0;
  for (int64_t r = 0; r < count_; ++r) {
    const EngineAdapter* adapter = rows_[static_cast<size_t>(r)].adapter;
    if (adapter == nullptr) continue;
    if (by_row && number++ % team.threads != team.thread) continue;
    for (const Adapted& one : projections) {
      const auto* target = adapter->at(layer, one.projection);
      if (target == nullptr) continue;
      const int64_t tiles = target->b.tiles();
      const Share mine = by_row ? Share{0, tiles} : team.share_of(tiles);
      add_low_rank(*target, {1, one.x + r * one.in, one.y + r * one.ld_y, one.ld_y, team.scratch},
                   mine.begin, mine.end);
    }
  }
  team.wait();
}

void DecodeStep::attend(Team& team, int64_t layer) {
  const int64_t head_dim = config_.head_dim;
  const int64_t group = config_.heads / config_.kv_heads;
  const int64_t qkv_width = config_.qkv_width();
  const Heads heads(config_, weights_.layers()[static_cast<size_t>(layer)], rope_);
  const Share mine = team.share_of(count_ * config_.kv_heads);
  for (int64_t pair = mine.begin; pair < mine.end; ++pair) {
    const int64_t r = pair / config_.kv_heads;
    const int64_t kv_head = pair % config_.kv_heads;
    const DecodeRow& row = rows_[static_cast<size_t>(r)];
    float* qkv = qkv_.data() + r * qkv_width;
    heads.make_queries(qkv, kv_head * group, group, row.position);
    heads.make_key_and_value(qkv, kv_head, row.position);
    const float* q = qkv + kv_head * group * head_dim;
    const float* key = qkv + config_.q_width() + kv_head * head_dim;
    const kernels::PagedHead head = pool_.head(layer, kv_head, row.pages);
    kernels::store_position(head, row.position, key, key + config_.kv_width());
    kernels::paged_attention({head, row.position, 1, group, q, qkv_width,
                              attended_.data() + (r * config_.heads + kv_head * group) * head_dim,
                              config_.q_width(), team.scratch});
  }
}

void DecodeStep::run_head(Team& team) {
  const int64_t width = config_.width;
  const Rows x = input(width, normed_.data());
  const Share mine = team.share_of(count_);
  for (int64_t r = mine.begin; r < mine.end; ++r) {
    kernels::norm_row({width, static_cast<float>(config_.norm_eps), residual_.data() + r * width,
                       weights_.final_norm().data(), normed_.data() + r * width});
    if (reads_codes(weights_.head())) kernels::quantise_row(x, r, 0, width);
  }
  team.wait();
  team.product(weights_.head(), x, logits_.data(), config_.vocab, false);
}

}  // namespace retort::engine
