-- What is measured: the jobs, and in which columns each of them is done.
--
-- A job's count is how many items one measurement does. The other runtimes do `fewer` times less
-- where they are slow, and halo's engines a quarter; that hardly changes the time per item. `tasks`
-- is how many items are under way at once; a job without them is one piece of work.

local EACH = { 1, 2, 8, 32, 128 }
local TREE = os.getenv "BENCH_TREE" or "/usr"
local LUV_IO_NODE = { luv = true, io = true, node = true }

---@class bench.Job
---@field name string
---@field title string
---@field unit "us"|"ms"
---@field count integer? 1 where there is none
---@field fewer integer?
---@field scaled boolean? whether BENCH_SCALE changes the count: the work is as large as its files
---@field tasks integer[]?
---@field c string? the program of the C loops
---@field job table<string, string>? what a column calls the job, where not by its name
---@field ring boolean? whether C has a loop with a ring
---@field others table<string, true|string> other columns: by their script, or by a command
---@field needs string? of what files.lua makes
---@field path string? what the job works on, where not on all of that
---@field removes string? what a measurement leaves behind
---@field copies string? what of that is copied, to path, before each measurement
---@field cold boolean? with empty caches, which takes root
---@field again boolean? the columns that do one thing after the other are measured at each number
--- of tasks, too: they have that many files, or what was removed before slows creation down
---@field extra boolean? done only when asked for by name
---@field passes boolean? the numbers are not of tasks but of passes, of which the best counts

---A stat of each path in a loop of some shape: in the first pass, and in the best of four.
local function shape(name, title)
  return {
    name = name, title = "lstat, " .. title, unit = "us",
    count = 50000, scaled = true, tasks = { 1, 4 }, passes = true,
    c = "name_loops", others = {}, needs = "names", job = { plain = "lstat" },
  }
end

---One piece of work beside one tool; where that is not installed, halo stands alone.
local function beside(tool, job)
  local here = os.execute(("command -v %s >/dev/null"):format(tool:match "%S+")) == 0
  job.name = job.job._ .. "_" .. tool:match "%a+"
  job.title, job.unit = ("%s (tool: %s)"):format(job.title, tool), "ms"
  job.others = { tools = here and tool or nil }
  return job
end

local function names_beside(tool)
  return beside(tool, { title = "names of " .. TREE, path = TREE, job = { _ = "names" } })
end

local function grep_beside(tool)
  return beside(tool, {
    title = "files that have a text", path = "/usr/include", job = { _ = "grep" },
  })
end

---@type bench.Job[]
return {
  {
    name = "read", title = "cached random 4 KiB read, to a buffer", unit = "us",
    count = 60000, fewer = 10, tasks = EACH,
    c = "data_loops", ring = true, others = { node = true }, needs = "read",
  },
  {
    name = "string", title = "cached random 4 KiB read, to a string", unit = "us",
    count = 60000, fewer = 10, tasks = EACH,
    c = "data_loops", ring = true, others = { luv = true, io = true }, needs = "read",
    job = { plain = "read", uring = "read" },
  },
  {
    name = "string_used", title = "cached random 4 KiB read, to a string used at once", unit = "us",
    count = 60000, fewer = 10, tasks = { 1, 8, 128 },
    c = "data_loops", others = { io = true }, needs = "read",
    job = { plain = "read", io = "string" },
  },
  {
    name = "direct", title = "O_DIRECT random 4 KiB read", unit = "us",
    count = 10000, fewer = 4, tasks = EACH,
    c = "data_loops", ring = true, others = {}, needs = "read",
  },
  {
    name = "lstat", title = "lstat, for the size", unit = "us",
    count = 100000, fewer = 20, scaled = true, tasks = EACH,
    c = "name_loops", ring = true, others = LUV_IO_NODE, needs = "names",
  },
  {
    name = "lstat_table", title = "lstat, each kept", unit = "us",
    count = 100000, fewer = 20, scaled = true, tasks = { 1, 8, 128 },
    c = "name_loops", ring = true, others = LUV_IO_NODE, needs = "names",
    job = { _ = "lstat", auto = "lstat_table", ring = "lstat_table", pool = "lstat_table" },
  },
  {
    name = "field", title = "lstat, one field", unit = "us",
    count = 100000, fewer = 10, scaled = true, tasks = { 1, 8, 128 },
    c = "name_loops", ring = true, others = {}, needs = "names",
    job = { plain = "lstat", uring = "lstat" },
  },
  shape("sum_for", "sum of sizes by for i"),
  shape("sum_ipairs", "sum of sizes by ipairs"),
  shape("sum_assert", "sum of sizes with assert"),
  shape("sum_if", "sum of sizes with if stat and stat.is_file"),
  shape("types", "count by type"),
  shape("newest", "the newest"),
  shape("two_kept", "two fields in tables that are kept"),
  shape("all_kept", "kept"),
  shape("two_fields", "two fields asked for"),
  shape("in_map", "in halo.map"),
  shape("shared", "64 tasks over one index"),
  {
    name = "readfile", title = "small file read whole, to a string", unit = "us",
    count = 15000, fewer = 10, scaled = true, tasks = EACH,
    c = "name_loops", ring = true, others = LUV_IO_NODE, needs = "small",
  },
  {
    name = "readfile_used", title = "small file read whole, to a string used at once", unit = "us",
    count = 15000, fewer = 10, scaled = true, tasks = { 1, 8, 128 },
    c = "name_loops", others = { io = true }, needs = "small",
    job = { plain = "readfile", io = "readfile" },
  },
  {
    name = "readfile_into", title = "small file read whole, to a buffer", unit = "us",
    count = 15000, fewer = 10, scaled = true, tasks = EACH,
    c = "name_loops", ring = true, others = {}, needs = "small",
    job = { plain = "readfile", uring = "readfile" },
  },
  {
    name = "checksum", title = "CRC-32 of a small file", unit = "us",
    count = 15000, scaled = true, tasks = { 1, 8, 128 },
    c = "name_loops", others = {}, needs = "small",
  },
  {
    name = "write", title = "4 KiB write, one file", unit = "us",
    count = 15000, fewer = 5, tasks = EACH,
    c = "data_loops", ring = true, others = LUV_IO_NODE, needs = "write",
  },
  {
    name = "write64", title = "4 KiB write, 64 files", unit = "us",
    count = 15000, fewer = 5, tasks = EACH,
    c = "data_loops", ring = true, others = { luv = true, node = true }, needs = "write64",
  },
  {
    name = "append", title = "append + fsync", unit = "us",
    count = 128, tasks = EACH, again = true,
    c = "data_loops", ring = true, others = { luv = true, node = true }, needs = "logs",
  },
  {
    name = "cycle", title = "create, write, close, rename, remove", unit = "us",
    count = 1000, tasks = EACH, again = true,
    c = "name_loops", ring = true, others = LUV_IO_NODE, needs = "cycle",
  },
  {
    name = "copy", title = "copy of a small file", unit = "us",
    count = 1000, scaled = true, tasks = { 1, 8, 128 },
    c = "name_loops", ring = true, others = { luv = true }, needs = "small", removes = "small.copy",
  },
  {
    name = "copytree", title = "copy of a tree of 2,000 small files", unit = "ms",
    others = { node = true, tools = "cp -r" }, needs = "tree", removes = "tree.copy", path = "tree",
  },
  beside("cp -a", {
    title = "copy of that tree with modes and times", job = { _ = "copytree_all" },
    needs = "tree", removes = "tree.copy", path = "tree",
  }),
  beside("rm -rf", {
    title = "removal of that tree", job = { _ = "rmtree" },
    needs = "tree", copies = "tree", path = "doomed",
  }),
  names_beside "bfs",
  names_beside "find",
  names_beside "fdfind -uu .",
  beside("gdu -snp", {
    title = "walk + stat of " .. TREE, path = TREE, job = { _ = "walk" },
  }),
  grep_beside "grep -rlF printf",
  grep_beside "rg -uulF printf",
  {
    name = "walk", title = "walk + stat of " .. TREE, unit = "ms",
    c = "walk_loops", ring = true, path = TREE,
    others = { luv = true, io = true, node = true, tools = "du -s" },
  },
  {
    name = "lines", title = "lines of a file of 1 GiB", unit = "ms",
    c = "walk_loops", others = { io = true, node = true, tools = "wc -l" },
    needs = "lines", path = "lines.data",
  },
  {
    name = "spawn", title = "spawn + join (LuaJIT: a bare coroutine)", unit = "us",
    count = 200000, others = { io = true },
  },
  {
    name = "switch", title = "yield (LuaJIT: a bare coroutine)", unit = "us",
    count = 200000, others = { io = true },
  },
  {
    name = "start", title = "start-up", unit = "ms",
    others = { io = "luajit -e ''", node = "node -e ''", tools = "true" },
  },
  {
    name = "cold", title = "small file read whole, cold", unit = "us",
    count = 3000, scaled = true, tasks = { 1, 8, 64 }, cold = true,
    c = "name_loops", ring = true, others = LUV_IO_NODE, needs = "small",
    job = { _ = "readfile" },
  },
  {
    name = "coldwalk", title = "walk + stat of " .. TREE .. ", cold", unit = "ms", cold = true,
    c = "walk_loops", ring = true, path = TREE, others = { tools = "du -s" },
    job = { _ = "walk" }, extra = true,
  },
}
