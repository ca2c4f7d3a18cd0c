// Rows of training as bytes (pack_internal.h). Private to the room.
#pragma once
#include "train/examples.h"
#include "train/pack_internal.h"

namespace retort::train {

template <class Stream, class Row>
void exchange_row(Stream& stream, Row& row) {
  auto& [key, ids, trained, source, teacher, recorded, reference, drawn, baseline] = row;
  auto& [starts, teacher_ids, logprobs, tails] = teacher;
  stream.fields(key, ids, trained, source, starts, teacher_ids, logprobs, tails, recorded,
                reference, drawn, baseline);
}

inline void exchange_examples(Packer& packer, const Examples& examples) {
  packer.fields(examples.too_long, examples.parts.size());
  for (const RowPart& part : examples.parts) packer.fields(part.name, part.rows);
  packer.fields(examples.rows.size());
  for (const Example& row : examples.rows) exchange_row(packer, row);
}

inline void exchange_examples(Unpacker& unpacker, Examples& examples) {
  size_t size = 0;
  unpacker.fields(examples.too_long, size);
  examples.parts.resize(size);
  for (RowPart& part : examples.parts) unpacker.fields(part.name, part.rows);
  unpacker.fields(size);
  examples.rows.resize(size);
  for (Example& row : examples.rows) exchange_row(unpacker, row);
}

}  // namespace retort::train
