#include "ops/ops.h"

#define ENTRY(code, row) [code] = &row,

const struct halo_op_row *const halo_op_table[HALO_OP_COUNT] = {HALO_OP_ROWS(ENTRY)};
