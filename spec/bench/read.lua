-- read.lua: random reads of 4 KiB from the page cache, the first and shortest of the benchmarks:
--
--     build/halo spec/bench/read.lua [rounds]
--
-- One task and 128, to a buffer and to a string, beside plain pread and a raw ring in C. It is
-- `make bench JOBS="read string" TASKS="1 128"` under a name of its own, and compares with nothing
-- that would have to be installed. The C loops come from `make benches`.

local bench = require "spec.bench.run"

bench.run({ "read", "string" }, {
  rounds = tonumber(arg[1] or 5),
  tasks = "1 128",
  columns = { "auto", "ring", "pool", "plain", "uring" },
  results = "read.json",
})
