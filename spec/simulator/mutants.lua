-- Bugs to be put into a copy of the sources, one at a time: each is a text of a file, found there
-- once, and what takes its place. spec/simulator/mutate.lua sees whether the simulator finds them.

---@class Mutant
---@field [1] string its name
---@field [2] string the file
---@field [3] string what is there
---@field [4] string what takes its place
---@type Mutant[]
return {
  { "a completion delivered twice", "core/loop.c",
    "struct halo_op *op = halo_list_take(&loop->completed);\n        if (!op",
    "struct halo_op *op = loop->completed.first;\n"
      .. "        if (op && loop->stats.retired % 50 != 0)\n            halo_list_remove(op);\n"
      .. "        if (!op" },
  { "a byte dropped on a cancel", "core/files.c",
    "kept->start = sizeof(*kept);", "kept->start = sizeof(*kept) + 1;" },
  { "kept bytes in the wrong order", "core/files.c",
    "return one->seq < other->seq", "return one->seq > other->seq" },
  { "a buffer freed early", "core/op.c",
    "    op->abandoned = true;\n    if (with_engine",
    "    op->abandoned = true;\n    if (with_engine && op->own_data && !op->headed)\n"
      .. "        halo_op_storage(op, op->stored + 100000);\n    if (with_engine" },
  { "a lock kept that nobody took", "core/ops/data.c",
    "return give_back(op, held);", "op->undoing = true;" },
  { "a lock kept whose call had ended", "core/ops/data.c",
    "file->locker != op->seq)", "file->locker != 0)" },
  { "an error of fsync not sticky", "core/ops/data.c",
    "op->slot->sync_error = (int)result;", "op->slot->sync_error = 0;" },
  { "a wake lost where a turn passes", "core/files.c",
    "        halo_list_append(ready, next);",
    "        if (!op->abandoned)\n            halo_list_append(ready, next);" },
  { "a wake lost behind a stray", "core/files.c",
    "if (--op->slot->straying == 0)", "if (--op->slot->straying == 0 && !op->cancelled)" },
  { "a position moved by what nobody read", "core/files.c",
    " || (op->abandoned && !writes))", ")" },
  { "a position not moved by what was written", "core/files.c",
    "op->done > 0 && !file->sought;", "op->done > 0 && !file->sought && !op->abandoned;" },
  { "an undone open not closed", "core/ops/open.c",
    "        halo_file_drop(loop, op->file);\n        return false;", "        return false;" },
  { "an undone name not removed", "core/ops/open.c",
    "    if (op->path)\n        remove_name(op);",
    "    if (op->path && op->seq % 2)\n        remove_name(op);" },
  { "turns out of order", "core/files.c",
    "struct halo_op *next = halo_list_take(&file->waiting[side]);",
    "struct halo_op *next = file->waiting[side].last;\n    if (next)\n"
      .. "        halo_list_remove(next);" },
  { "a short write not continued", "core/ops/data.c",
    "    if (result >= 0 && op->done < op->length)\n",
    "    if (result == 0 && op->done < op->length)\n" },
  { "a short read not continued", "core/ops/data.c",
    "if (op->done < op->length && !op->slot->stream",
    "if (op->done < op->length / 2 && !op->slot->stream" },
  { "a short write of a copy not continued", "core/ops/copy.c",
    "            length -= (size_t)written;", "            length = 0;" },
  { "a close that does not wait", "core/files.c",
    "        if (file->in_flight == 0)\n            return true;",
    "        if (file->in_flight <= 1)\n            return true;" },
  { "a stray write not followed", "core/files.c",
    "!op->row->after_strays || file->straying == 0", "file->straying < 100" },
  { "an interrupted call not made again", "core/op.c",
    "    if (is_interruption(result)) {", "    if (is_interruption(result) && op->retries) {" },
  { "an end not counted", "core/op.c",
    "    loop->stats.retired++;", "    loop->stats.retired += op->result != -ECANCELED;" },
  { "room in the engine not given up", "core/dispatch.c",
    "    loop->running--;\n    if (op->place) {",
    "    loop->running -= op->result != -4;\n    if (op->place) {" },
  { "a temporary file left behind", "lua/halo/fs/writefile.lua",
    "  if job.temporary then", "  if job.temporary and not job.file then" },
  { "a permit lost on a cancel", "lua/halo/semaphore.lua",
    "local function release(self, ok, ...)\n",
    "local function release(self, ok, ...)\n  if not ok then error((...), 0) end\n" },
  { "a half of a copied tree's errors forgotten", "lua/halo/fs/copytree.lua",
    "  self.failure = self.failure or { message, code }", "  self.failure = self.failure" },
}
