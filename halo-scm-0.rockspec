rockspec_format = "3.0"
package = "halo"
version = "scm-0"

-- `luarocks make` in the work tree is the way to use this: it installs from the files beside it.
source = {
  url = "git+file://.",
}

description = {
  summary = "io_uring for LuaJIT: straight-line scripts whose file system calls run concurrently",
  detailed = [[
    halo puts io_uring around Lua: filesystem calls suspend their coroutine and let every other
    one run. It is a command for scripts, a module for LuaJIT and a library for C hosts. Linux only.
  ]],
  license = "MIT",
  labels = { "io_uring", "async", "filesystem", "luajit" },
}

supported_platforms = { "linux" }

dependencies = {
  "lua == 5.1", -- in the form of LuaJIT
}

external_dependencies = {
  LIBURING = { header = "liburing.h" },
  XXHASH = { header = "xxhash.h" },
  LIBMD = { header = "sha2.h" },
}

-- The Makefile finds these and LuaJIT through pkg-config.
build = {
  type = "make",
  build_target = "all",
  install_target = "install",
  install_variables = {
    PREFIX = "$(PREFIX)",
    BINDIR = "$(BINDIR)",
    LUA_CDIR = "$(LIBDIR)",
  },
}

test = {
  type = "command",
  command = "make test",
}
