-- A program of its own, run by halo or luajit: swaps names in one directory for names in another,
-- as fast as it can, until it is ended by a signal.
--
--     swapper.lua SIDE PATH...       PATH number n is exchanged with SIDE/n

local ffi = require "ffi"

ffi.cdef [[
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
]]

local AT_FDCWD, EXCHANGE = -100, 2

local side, pairs_of_names = arg[1], {}
for i = 2, #arg do
  table.insert(pairs_of_names, { arg[i], ("%s/%d"):format(side, i - 1) })
end

io.write("swapping\n")
io.flush()
while true do
  for _, names in ipairs(pairs_of_names) do
    ffi.C.renameat2(AT_FDCWD, names[1], AT_FDCWD, names[2], EXCHANGE)
  end
end
