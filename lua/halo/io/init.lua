-- Lua's own io, os and print, unchanged, but such that a call which waits lets the other tasks run.
-- They give the same values, messages and numbers; their files are LuaJIT's own userdata.

local core = require "halo.core"

local io_module = {}

local installed = false

---Puts the functions into the places of LuaJIT's own, for good: io, os, print, and the methods of
---files; and require, dofile and loadfile. The command halo has done so already, unless it was
---started with --stock-io. A second call does nothing.
---@return boolean # false where LuaJIT or the C library have files of an unknown kind, and where io
---or os has been taken away
function io_module.install()
  if installed then
    return true
  end
  if type(io) ~= "table" or type(os) ~= "table" then
    return false
  end
  local module = core.module
  local files = module "halo.io.files"
  if not core.stdio.install(io.stdout, files.stdout_room) then
    return false
  end
  installed = true
  local open, read = module "halo.io.open", module "halo.io.read"
  local system, write = module "halo.io.system", module "halo.io.write"
  io_module.finish = open.finish
  for _, name in ipairs { "open", "popen", "tmpfile", "input", "output", "lines" } do
    io[name] = open[name] -- luacheck: ignore 122
  end
  -- luacheck: push ignore 122
  io.close, io.read = open.io_close, read.io_read
  io.write, io.flush = write.io_write, write.io_flush
  for _, name in ipairs { "remove", "rename", "tmpname", "execute" } do
    os[name] = system[name]
  end
  -- luacheck: pop
  _G.print = write.print
  local methods = files.metatable.__index
  methods.read, methods.lines, methods.close = read.read, read.lines, open.close
  methods.write, methods.flush, methods.setvbuf = write.write, write.flush, write.setvbuf
  methods.seek = module("halo.io.seek").seek
  files.metatable.__gc = open.collect
  methods.__gc = open.collect
  if loadfile then -- else a host has taken away what loads files
    module("halo.loader").install()
  end
  return true
end

---What is left to do at the end: closes what io.popen has opened, waits for its programs, as LuaJIT
---does, and writes what was printed. Nothing else runs meanwhile.
---@return true?
---@return string? text
---@return integer? number
function io_module.finish()
  return true
end

return io_module
