// Rows from tables and back: embeddings, and rows of a batch.
#pragma once

#include <array>

#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// One table of an embedding.  V: its rows, C: channels
struct EmbeddingTable {
  ConstTensor table;  // [V,C] f32
  ConstTensor ids;    // [N] i32 in [0,V) (checked)
};

// y[n] = sum over the tables of table[ids[n]], in the order given.
struct EmbeddingForwardArgs {
  static constexpr int kMaxTables = 3;
  std::array<EmbeddingTable, kMaxTables> tables;  // the first is required; those without a table are left out
  Tensor y;                                       // [N,C] out, f32|bf16
};

void EmbeddingForward(Device& device, const EmbeddingForwardArgs& args);

// d_table[ids[n]] += d_y[n], without atomics. The tokens of one table row are added as a sum over tokens
// (token_blocks.h: blocks of kTokenBlock of the row's own tokens), so any number of threads gives the same
// bits.
struct EmbeddingBackwardArgs {
  ConstTensor ids;  // [N] i32 as in forward
  ConstTensor d_y;  // [N,C] f32|bf16
  Tensor d_table;   // [V,C] f32 in/out; rows without a token are not touched
};

void EmbeddingBackward(Device& device, const EmbeddingBackwardArgs& args);

// to[i] = from[rows[i]]: the labelled tokens, or the first token of each example.
//   from [N,C] f32|bf16, rows [M] i32 in [0,N), to [M,C] of the same type
void GatherRows(Device& device, const ConstTensor& from, const ConstTensor& rows, const Tensor& to);

// Backward of GatherRows: to[rows[i]] = from[i], and 0 in all other rows. `rows` must not repeat.
//   from [M,C] f32|bf16, rows [M] i32 in [0,N), to [N,C] of the same type
void ScatterRows(Device& device, const ConstTensor& from, const ConstTensor& rows, const Tensor& to);

}  // namespace shoal::kernels
