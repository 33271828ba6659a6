-- What a script tries in order to get out of its fence, by kinds. The code of an attempt has OUT, a
-- directory outside; SECRET, a file in it; RO, a root to read; RW, a root to write, which has links
-- that lead out; and show(), which prints what it has got. None may show what SECRET has, run
-- PROGRAM, or change anything in OUT or RO.
--
-- RW has: file, dir/file, link -> SECRET, relative -> the same by "..", dirlink -> OUT, up -> "..",
-- proc -> /proc/self, fd -> /dev/fd, loop -> itself, hollow -> a name in OUT that is not there. RO
-- has: file, and for root a device.

local escapes = { kinds = {} }

local kind

local function kind_is(name)
  kind = { name = name }
  table.insert(escapes.kinds, kind)
end

local function try(what, code)
  table.insert(kind, { what = what, code = code })
end

kind_is "paths that lead out"
try("by dots", [[show(fs.readfile(RW .. "/../out/secret"))]])
try("by dots behind a directory", [[show(fs.readfile(RW .. "/dir/../../out/secret"))]])
try("by dots behind a name that is not there", [[
  show(fs.readfile(RW .. "/none/../../out/secret"))]])
try("by dots and slashes", [[show(fs.readfile(RW .. "//.//..//./out///secret"))]])
try("by dots from the working directory", [[
  show(fs.chdir(RW .. "/dir")) show(fs.readfile "../../out/secret")]])
try("absolute", [[show(fs.readfile(SECRET)) show(fs.stat(SECRET)) show(fs.open(SECRET))]])
try("of a name that begins like a root's", [[
  show(fs.readfile(RW .. "-other/secret")) show(fs.writefile(RW .. "-other/new", "x"))]])
try("with a NUL", [[show(fs.readfile(SECRET .. "\0" .. RW))]])
try("longer than PATH_MAX", [[
  show(fs.readfile(RW .. ("/dir/.."):rep(700) .. "/../out/secret"))]])
try("of the working directory, which is outside", [[
  show(fs.readfile "secret", fs.readfile "out/secret")]])
try("to another working directory", [[
  show(fs.chdir(OUT)) show(fs.chdir(RW .. "/dirlink")) show(fs.chdir(RW .. "/.."))
  show(fs.chdir "/")
  show(fs.readfile "secret")]])

kind_is "symbolic links"
try("to a file", [[show(fs.readfile(RW .. "/link")) show(fs.open(RW .. "/link", "r+"))]])
try("to a file, by dots", [[show(fs.readfile(RW .. "/relative"))]])
try("to a directory", [[show(fs.readfile(RW .. "/dirlink/secret"))
  show(fs.readdir(RW .. "/dirlink"))]])
try("to the directory above", [[show(fs.readfile(RW .. "/up/out/secret"))]])
try("that the script makes", [[
  show(fs.symlink(SECRET, RW .. "/mine")) show(fs.readfile(RW .. "/mine"))
  show(fs.writefile(RW .. "/mine", "changed"))]])
try("made in a directory to be read", [[show(fs.symlink(SECRET, RO .. "/mine"))]])
try("through which a file would be made", [[
  show(fs.writefile(RW .. "/hollow", "new")) show(fs.open(RW .. "/hollow", "w"))
  show(fs.open(RW .. "/dirlink/new", "wx")) show(fs.mkdir(RW .. "/dirlink/new"))]])
try("in a row", [[
  show(fs.symlink("up", RW .. "/a")) show(fs.symlink("a/out", RW .. "/b"))
  show(fs.readfile(RW .. "/b/secret"))]])
try("renamed into the place of a directory", [[
  show(fs.rename(RW .. "/dirlink", RW .. "/dir", { exchange = true }))
  show(fs.readfile(RW .. "/dir/secret")) show(fs.writefile(RW .. "/dir/new", "x"))]])
try("put into the place of an open directory", [[
  local dir = fs.at(RW .. "/dir")
  show(fs.rename(RW .. "/dir", RW .. "/old")) show(fs.symlink(OUT, RW .. "/dir"))
  show(dir:readfile "secret") show(dir:readfile "../dir/secret") show(fs.at(RW .. "/dir"))]])
try("with a slash behind", [[
  show(fs.readdir(RW .. "/dirlink/")) show(fs.rmdir(RW .. "/dirlink/"))
  show(fs.chmod(RW .. "/dirlink/", "777"))]])
try("that lead nowhere else but by /proc", [[show(fs.readfile(RW .. "/proc/cwd/out/secret"))
  show(fs.readfile(RW .. "/proc/root" .. SECRET)) show(fs.readfile(RW .. "/fd/0"))]])

kind_is "/proc and /dev"
try("/proc/self/cwd", [[show(fs.readfile "/proc/self/cwd/out/secret")]])
try("/proc/self/root", [[show(fs.readfile("/proc/self/root" .. SECRET))]])
try("/proc/1/root", [[show(fs.readfile("/proc/1/root" .. SECRET))]])
try("/proc/PID/root of the parent", [[
  show(fs.readlink "/proc/self") show(fs.readfile("/proc/self/task/../../1/root" .. SECRET))]])
try("/proc/self/fd of a directory that is open", [[
  local dir = fs.open(RW .. "/dir", fs.flags.PATH + fs.flags.DIRECTORY)
  show(fs.readfile(("/proc/self/fd/%d/../../out/secret"):format(dir:fd())))
  show(fs.readfile(("/dev/fd/%d/../../out/secret"):format(dir:fd())))
  show(fs.chmod(("/proc/self/fd/%d/../../out/secret"):format(dir:fd()), "777"))]])
try("/proc/self/fd of a file to be read, to write it", [[
  local file = fs.open(RO .. "/file")
  show(fs.open(("/proc/self/fd/%d"):format(file:fd()), "r+"))
  show(fs.writefile(("/dev/fd/%d"):format(file:fd()), "changed"))]])
try("/proc/self/mem and maps", [[
  show(fs.open("/proc/self/mem", "r+")) show(fs.readfile "/proc/self/maps")]])
try("/proc/self/environ", [[show(fs.readfile "/proc/self/environ")]])
try("/dev/stdin", [[show(fs.open("/dev/stdin", "r+")) show(fs.open "/dev/tty")]])

kind_is "hard links and renames"
try("a link to a file outside", [[show(fs.link(SECRET, RW .. "/mine"))
  show(fs.readfile(RW .. "/mine"))]])
try("a link to a file to be read, to write it", [[
  show(fs.link(RO .. "/file", RW .. "/mine"))
  show(fs.writefile(RW .. "/mine", "changed", { atomic = false }))
  local file = fs.open(RW .. "/mine", "r+") show(file and file:write "changed")]])
try("a link outside", [[show(fs.link(RW .. "/file", OUT .. "/mine"))]])
try("a link by /proc", [[
  local file = fs.open(SECRET, fs.flags.PATH) show(file)
  show(fs.link("/proc/self/fd/5", RW .. "/mine"))]])
try("a rename outside", [[show(fs.rename(RW .. "/file", OUT .. "/mine"))]])
try("a rename of a file outside", [[show(fs.rename(SECRET, RW .. "/mine"))
  show(fs.readfile(RW .. "/mine"))]])
try("a rename of a file to be read", [[show(fs.rename(RO .. "/file", RW .. "/mine"))]])
try("a rename through a link", [[
  show(fs.rename(RW .. "/dirlink/secret", RW .. "/mine"))
  show(fs.rename(RW .. "/file", RW .. "/dirlink/mine"))]])
try("a rename of a root itself", [[show(fs.rename(RW, RW .. "-moved"))
  show(fs.rename(RO, RW .. "/mine"))]])
try("an exchange", [[show(fs.rename(RW .. "/file", SECRET, { exchange = true }))]])
try("a directory moved away under an open one", [[
  show(fs.mkdir(RW .. "/a")) show(fs.mkdir(RW .. "/a/b"))
  local dir = fs.at(RW .. "/a/b")
  show(fs.rename(RW .. "/a/b", RW .. "/b")) show(dir:readfile "../../out/secret")
  show(dir:readfile "../out/secret")]])

kind_is "ways to open"
try("O_PATH", [[
  local file = fs.open(OUT, fs.flags.PATH) show(file)
  local file = fs.open(RW .. "/dirlink", fs.flags.PATH) show(file)
  local dir = file and fs.at(file) show(dir and dir:readfile "secret")]])
try("O_PATH of a link itself", [[
  local file = fs.open(RW .. "/dirlink", fs.flags.PATH + fs.flags.NOFOLLOW) show(file)
  show(file and fs.at(file))]])
try("O_TMPFILE outside", [[show(fs.open(OUT, fs.flags.TMPFILE + fs.flags.RDWR))
  show(fs.open(RO, fs.flags.TMPFILE + fs.flags.RDWR))]])
try("to be cut", [[show(fs.open(RO .. "/file", fs.flags.TRUNC)) show(fs.truncate(RO .. "/file", 0))
  show(fs.truncate(SECRET, 0)) show(fs.truncate(RW .. "/link", 0))]])
try("to append", [[show(fs.open(RO .. "/file", "a")) show(fs.open(SECRET, "a"))]])
try("to be made", [[show(fs.open(OUT .. "/new", "w")) show(fs.create(RO .. "/new"))
  show(fs.mkfifo(OUT .. "/new"))
  show(fs.mknod(OUT .. "/new", "socket")) show(fs.mkdir(OUT .. "/new"))
  show(fs.symlink("x", OUT .. "/new"))]])
try("from a Dir", [[
  local dir = fs.at(RW) show(dir:readfile "../out/secret") show(dir:readfile(SECRET))
  show(dir:readfile "link") show(dir:readfile "dirlink/secret") show(dir:at "..")
  show(dir:at "dirlink")]])
try("from the root directory's Dir", [[
  local dir = fs.at "/" show(dir) show(dir and dir:readfile(SECRET:sub(2)))]])
try("from a Dir to be read, to write", [[
  local dir = fs.at(RO) show(dir:writefile("file", "changed")) show(dir:remove "file")
  show(dir:chmod("file", "777"))
  show(dir:mkdir "new") show(dir:rename("file", "new")) show(dir:symlink("x", "new"))]])
try("a device", [[show(fs.mknod(RW .. "/mine", "char", "666", 1, 1)) show(fs.open("/dev/mem"))
  show(fs.open "/dev/kmsg")]])
try("a device that the script makes", [[
  for i, how in ipairs { "char", "block" } do
    local path = RW .. "/device" .. i
    show(fs.mknod(path, how, "666", how == "char" and 1 or 7, 0))
    show(fs.at(RW):mknod("other" .. i, how, "666", how == "char" and 1 or 7, 0))
    for _, name in ipairs { path, RW .. "/other" .. i } do
      local stat = fs.lstat(name)
      if stat and (stat.type == "char" or stat.type == "block") then show "loaded bytecode" end
    end
  end]])
try("a device that the script copies", [[
  show(fs.copytree(RO, RW .. "/mine")) show(fs.move(RO .. "/device", RW .. "/device"))
  show(fs.link(RO .. "/device", RW .. "/device")) show(fs.copy("/dev/null", RW .. "/device"))
  local stat = fs.lstat(RW .. "/mine/device") or fs.lstat(RW .. "/device")
  if stat and stat.type == "char" then show "loaded bytecode" end]])
try("FIFOs and sockets outside", [[show(fs.open(OUT .. "/fifo", fs.flags.NONBLOCK + fs.flags.RDWR))
  show(fs.open(OUT .. "/socket", "r+")) show(fs.readfile(OUT .. "/fifo"))]])

kind_is "other calls on paths"
try("copy", [[show(fs.copy(SECRET, RW .. "/mine")) show(fs.readfile(RW .. "/mine"))
  show(fs.copy(RW .. "/link", RW .. "/mine2")) show(fs.readfile(RW .. "/mine2"))
  show(fs.copy(RW .. "/file", SECRET)) show(fs.copy(RW .. "/file", RO .. "/file"))
  show(fs.copy(RW .. "/file", RW .. "/link")) show(fs.copy(RW .. "/file", RW .. "/hollow"))]])
try("copytree", [[show(fs.copytree(OUT, RW .. "/mine")) show(fs.readfile(RW .. "/mine/secret"))
  show(fs.copytree(RW .. "/dirlink", RW .. "/mine2")) show(fs.readfile(RW .. "/mine2/secret"))
  show(fs.copytree(RW .. "/dir", OUT .. "/mine"))
  show(fs.copytree(RW .. "/dir", RW .. "/dirlink/mine"))]])
try("copytree of a tree with links", [[show(fs.copytree(RW .. "/dir", RO .. "/mine"))
  show(fs.copytree(RW, RO .. "/mine"))]])
try("move", [[show(fs.move(SECRET, RW .. "/mine")) show(fs.move(OUT, RW .. "/mine"))
  show(fs.move(RW .. "/dir", OUT .. "/mine")) show(fs.move(RO .. "/file", RW .. "/mine"))]])
try("rmtree", [[show(fs.rmtree(OUT)) show(fs.rmtree(RW .. "/dirlink/"))
  show(fs.rmtree(RW .. "/up/out"))
  show(fs.rmtree(RO)) show(fs.rmtree(RW .. "/dirlink"))]])
try("remove", [[show(fs.remove(SECRET)) show(fs.remove(RW .. "/dirlink/secret"))
  show(fs.remove(RO .. "/file"))
  show(fs.rmdir(OUT .. "/empty")) show(fs.rmdir(RW .. "/up/out/empty"))]])
try("walk", [[for entry in fs.walk(OUT) do show(entry) end]])
try("walk through a link", [[for path in fs.walk(RW .. "/dirlink", { follow = true }) do
  show(path, fs.readfile(path)) end
  for path in fs.walk(RW, { follow = true }) do show(path, fs.readfile(path)) end]])
try("glob", [[
  for _, pattern in ipairs { "/*", OUT .. "/*", RW .. "/../out/*", RW .. "/dirlink/*",
    RW .. "/up/out/*",
    RW .. "/**", "**", "*" } do
    for _, path in ipairs(fs.glob(pattern) or {}) do show(fs.readfile(path)) end
  end]])
try("watch", [[show(pcall(fs.watch, OUT)) show(pcall(fs.watch, RW .. "/dirlink"))]])
try("readdir, dir and lines", [[show(fs.readdir(OUT)) show(pcall(fs.dir, OUT))
  show(pcall(fs.lines, SECRET))
  for line in fs.lines(RW .. "/link") do show(line) end]])
try("realpath and readlink", [[show(fs.realpath(RW .. "/link")) show(fs.realpath(SECRET))
  show(fs.readlink(OUT .. "/link"))
  show(fs.readlink(RW .. "/dirlink/link"))]])
try("stat, statfs and access", [[show(fs.stat(SECRET)) show(fs.stat(RW .. "/link", "size"))
  show(fs.statfs(OUT))
  show(fs.access(SECRET)) show(fs.exists(SECRET)) show(fs.exists(RW .. "/link"))]])
try("hash", [[show(fs.hash(SECRET)) show(fs.hash(RW .. "/link"))]])
try("chmod", [[show(fs.chmod(SECRET, "777")) show(fs.chmod(RW .. "/link", "777"))
  show(fs.chmod(RO .. "/file", "777"))
  show(fs.chmod(RW .. "/dirlink/secret", "777")) show(fs.chmod(RO, "777"))
  show(fs.chmod(RW .. "/..", "777"))]])
try("chown", [[show(fs.chown(SECRET, 1, 1)) show(fs.lchown(SECRET, 1, 1))
  show(fs.chown(RW .. "/link", 1, 1))
  show(fs.lchown(RW .. "/dirlink/secret", 1, 1)) show(fs.chown(RO .. "/file", 1, 1))]])
try("times", [[show(fs.utime(SECRET, 1, 1)) show(fs.utime(RW .. "/link", 1, 1))
  show(fs.lutime(SECRET, 1, 1))
  show(fs.utime(RO .. "/file", 1, 1)) show(fs.utime(RW .. "/dirlink/secret", 1, 1))]])
try("extended attributes", [[show(fs.setxattr(SECRET, "user.x", "y"))
  show(fs.setxattr(RW .. "/link", "user.x", "y"))
  show(fs.getxattr(SECRET, "user.secret")) show(fs.getxattr(RW .. "/link", "user.secret"))
  show(fs.listxattr(SECRET)) show(fs.removexattr(SECRET, "user.secret"))
  show(fs.setxattr(RO .. "/file", "user.x", "y")) show(fs.lsetxattr(SECRET, "user.x", "y"))
  show(fs.lgetxattr(RW .. "/dirlink/secret", "user.secret"))]])
try("by a File to be read, to change what is no data", [[local file = fs.open(RO .. "/file")
  show(file:chmod "777") show(file:chown(1, 1)) show(file:utime(1, 1))
  show(file:setxattr("user.x", "y"))
  show(file:removexattr "user.x") show(file:write "changed") show(pcall(file.truncate, file, 0))]])
try("atomic writes", [[show(fs.writefile(SECRET, "changed"))
  show(fs.writefile(RW .. "/link", "changed"))
  show(fs.writefile(RW .. "/relative", "changed", { atomic = true }))
  show(fs.writefile(RW .. "/dirlink/secret", "changed"))
  show(fs.writefile(RO .. "/file", "changed")) show(fs.writefile(RW .. "/../out/new", "x"))]])
try("templates of temporary files", [[show(fs.mkstemp(RW .. "/../out/XXXXXX"))
  show(fs.mkstemp(OUT .. "/XXXXXX"))
  show(fs.mkdtemp(RW .. "/dirlink/XXXXXX")) show(fs.tempfile(OUT))
  show(fs.tempfile(RW .. "/dirlink")) show(fs.mkstemp())]])

kind_is "Lua's own libraries"
try("io.open", [[
  for _, path in ipairs { SECRET, RW .. "/link", RW .. "/../out/secret", "out/secret" } do
    for _, mode in ipairs { "r", "r+", "a", "w" } do
      local file = io.open(path, mode) show(file) show(file and file:read "*a")
  show(file and file:write "changed")
    end
  end
  local file = io.open(RO .. "/file", "r+") show(file)
  show(file and file:write "changed" and file:close())]])
try("io.lines, io.input and io.output", [[
  show(pcall(function() for line in io.lines(SECRET) do show(line) end end))
  show(pcall(function() for line in io.lines(RW .. "/link") do show(line) end end))
  show(pcall(io.input, RW .. "/link")) show(pcall(io.read, "*a"))
  show(pcall(io.output, OUT .. "/new"))]])
try("os.remove and os.rename", [[show(os.remove(SECRET)) show(os.remove(RW .. "/dirlink/secret"))
  show(os.rename(SECRET, RW .. "/mine"))
  show(os.rename(RW .. "/file", RW .. "/dirlink/mine")) show(os.remove(RO .. "/file"))
  show(os.rename(RW .. "/dirlink/secret", RW .. "/mine")) show(os.tmpname())]])
try("os.execute", [[show(os.execute(PROGRAM))
  show(os.execute("cat " .. SECRET .. "; " .. PROGRAM))]])
try("io.popen", [[local pipe = io.popen(PROGRAM .. "; cat " .. SECRET) show(pipe)
  show(pipe and pipe:read "*a")]])
try("dofile and loadfile", [[show(pcall(dofile, SECRET)) show(loadfile(SECRET))
  show(loadfile(RW .. "/link"))
  show(pcall(dofile, OUT .. "/code.lua")) show(pcall(dofile, RW .. "/dirlink/code.lua"))]])
try("require by a path", [[package.path = OUT .. "/?.lua;" .. RW .. "/dirlink/?.lua"
  show(pcall(require, "code")) show(pcall(require, "out/code"))]])
try("package.searchpath", [[show(package.searchpath("secret", OUT .. "/?"))]])
try("the environment", [[show(os.getenv "LUA_INIT") show(os.setenv)
  for _, name in ipairs { "HALO_ENGINE", "HALO_GC", "LUA_PATH" } do show(halo.setenv)
  show(name) end]])

kind_is "code of another kind"
local bytecode = [[local code = string.dump(function() return "loaded " .. "bytecode" end)
  local file = fs.writefile(RW .. "/code.lua", code) ]]
try("bytecode by load", bytecode .. [[show((load(code, "x", "b") or print)())
  show((load(code, "x", "bt") or print)())]])
try("bytecode by loadstring", bytecode .. [[show((loadstring(code) or print)())]])
try("bytecode by load of pieces", bytecode .. [[
  local function pieces() local piece = code code = nil return piece end
  show((load(pieces) or print)())]])
try("bytecode by loadfile", bytecode .. [[show((loadfile(RW .. "/code.lua", "b") or print)())]])
try("bytecode by dofile", bytecode .. [[show(dofile(RW .. "/code.lua"))]])
try("bytecode by require", bytecode .. [[package.path = RW .. "/?.lua" show(require "code")]])
try("bytecode behind a first line", [[fs.writefile(RW .. "/code.lua", "#!/bin/halo\n"
  .. string.dump(function() return "loaded " .. "bytecode" end)) show(dofile(RW .. "/code.lua"))]])
local cat = [[local ffi = %s
  ffi.cdef "int open(const char *, int); long read(int, void *, long); int system(const char *);"
  ffi.C.system(PROGRAM) local buffer = ffi.new "char[100]"
  ffi.C.read(ffi.C.open(SECRET, 0), buffer, 100) show(ffi.string(buffer))]]
try("ffi by require", cat:format [[require "ffi"]])
try("ffi by package.loaded", cat:format "package.loaded.ffi")
try("ffi by package.preload", cat:format [[package.preload.ffi "ffi"]])
try("ffi by the functions that halo has", [[
  for name, module in pairs(package.loaded) do
    for key, value in pairs(type(module) == "table" and module or {}) do
      local i = 1
      while type(value) == "function" do
        local found, upvalue = debug.getupvalue(value, i)
        if not found then break end
        if type(upvalue) == "table" and rawget(upvalue, "cdef") then ffi = upvalue end
        i = i + 1
      end
    end
  end ]] .. cat:format "ffi")
try("the pointer of a buffer", [[local pointer = halo.buffer(16):ptr() pointer[100000] = 1
  show "loaded bytecode"]])
try("the pointer of a buffer, by an ffi of the script's", [[
  package.loaded.ffi = { typeof = print, cast = function(pointer, address)
    if type(pointer) ~= "string" then show "loaded bytecode" end return pointer end }
  show(halo.buffer(16):ptr())]])
try("the pointer of a buffer of LuaJIT's", [[
  local buffer = require("string.buffer").new(16)
  for _, name in ipairs { "ref", "reserve", "commit" } do
    if pcall(function() return buffer[name](buffer, 1) end) then show("loaded bytecode", name) end
  end]])
try("another library of such buffers", [[
  local open = package.preload["string.buffer"]
  if open then show("loaded bytecode", open "string.buffer") end
  package.loaded["string.buffer"] = nil
  if pcall(require, "string.buffer") then show "loaded bytecode" end]])
try("io.tmpfile, os.tmpname and finalizers", [[show(io.tmpfile()) show(pcall(os.tmpname))
  local meta = getmetatable(io.stdout) show(pcall(meta.__gc, io.stdin))
  show(pcall(meta.__index.read, halo.buffer(16), "*a"))]])
try("halo.lfs", [[local lfs = require "halo.lfs"
  for _, path in ipairs { SECRET, OUT, RW .. "/link", RW .. "/dirlink", RW .. "/../out" } do
    for name, fn in pairs(lfs) do
      if type(fn) == "function" and name ~= "install" then show(pcall(fn, path)) end
    end
    show(pcall(lfs.link, path, RW .. "/" .. #path)) show(pcall(lfs.touch, path, 1, 1))
    show(fs.readfile(RW .. "/" .. #path)) show(pcall(lfs.lock_dir, path, 1))
  end]])
try("the end of a lock of halo.lfs", [[local lfs = require "halo.lfs"
  for _, target in ipairs { OUT, RO } do
    show(fs.mkdir(RW .. "/locked"))
    local lock = lfs.lock_dir(RW .. "/locked")
    show(lock, fs.rename(RW .. "/locked", RW .. "/away" .. #target))
    show(fs.symlink(target, RW .. "/locked"))
    lock = nil
    collectgarbage() collectgarbage()
    show(fs.remove(RW .. "/locked"))
  end]])
try("package.loadlib of the C library", [[
  show(package.loadlib(LIBRARY, "*")) local open = package.loadlib(LIBRARY, "luaopen_ffi")
  show(open)
  if open then show(open()) show "loaded bytecode" end]])
try("a C module by package.cpath", [[package.cpath = RW .. "/?.so;" .. OUT .. "/?.so"
  show(fs.copy(LIBRARY, RW .. "/module.so")) show(require "module")]])
try("a C module by package.loaders", [[
  for i = 3, 4 do local loader = package.loaders[i] package.cpath = OUT .. "/?.so"
  show(loader and loader "module") end]])
try("debug.getregistry", [[local registry = debug.getregistry() show "loaded bytecode"
  show(registry._LOADED.ffi)]])
try("debug.getupvalue and setupvalue", [[
  local _, load_plainly = debug.getupvalue(load, 1) show "loaded bytecode" show(load_plainly)]])
try("debug.getlocal of the command", [[for level = 1, 50 do
    local name, value = debug.getlocal(level, 1) show("loaded bytecode", name, value)
  end]])
try("debug.getinfo of the command", [[for level = 1, 50 do
    local info = debug.getinfo(level, "f")
    if info then for key, value in pairs(getfenv(info.func)) do
      if key == "means" then show "loaded bytecode" end
    end end
  end]])
try("debug.sethook", [[debug.sethook(function() end, "l") show "loaded bytecode"]])
try("the metatable of strings", [[
  getmetatable("").__index = function() return "t" end show(pcall(load, string.dump(print)))
  show(fs.readfile(SECRET))]])
try("another environment for halo's functions", [[
  for _, name in ipairs { "at", "copy", "readfile", "writefile", "glob", "open" } do
    pcall(setfenv, fs[name], setmetatable({ pcall = print, require = print }, { __index = _G }))
  end
  show(fs.readfile(SECRET)) show(fs.at(OUT)) show(fs.copy(SECRET, RW .. "/mine"))]])
try("newproxy", [[local proxy = newproxy(true) getmetatable(proxy).__index = fs
  show(pcall(fs.fstat, proxy)) show(pcall(fs.read, proxy, 10))]])

kind_is "programs"
try("halo.process", [[show(halo.process.run { PROGRAM })
  show(halo.process.run { "sh", "-c", "cat " .. SECRET })
  show(halo.process.start { "cat", SECRET })]])
try("halo.process in a directory outside", [[show(halo.process.run({ PROGRAM }, { cwd = OUT }))]])
try("halo.process with another environment", [[
  show(halo.process.run({ "./program" }, { cwd = RW, env = { PATH = OUT } }))]])
try("a program of its own", [[
  show(fs.writefile(RW .. "/mine", "#!/bin/sh\ncat " .. SECRET .. "\n", { perm = "755" }))
  show(fs.chmod(RW .. "/mine", "755")) show(halo.process.run { RW .. "/mine" })
  show(os.execute(RW .. "/mine"))]])
try("a second halo", [[
  show(halo.process.run { HALO, "-e", "print(io.open('" .. SECRET .. "'):read '*a')" })
  show(os.execute(HALO .. " -e 'print(io.open(\"" .. SECRET .. "\"):read \"*a\")'"))]])

kind_is "halo's inside"
try("halo.core", [[local core = require "halo.core" show "loaded bytecode" show(core)]])
try("the modules in package.loaded and preload", [[
  for name in pairs(package.loaded) do if name == "halo.core" then show "loaded bytecode" end end
  for name, open in pairs(package.preload) do
    local ok, module = pcall(open, "halo.core")
    if ok and type(module) == "table" and module.adopt then show "loaded bytecode" end
  end]])
try("halo.configure", [[show(pcall(halo.configure, { fence = false }))
  show(pcall(halo.configure, { engine = "pool" }))
  show(fs.readfile(SECRET))]])
try("another loader", [[require("halo.loader").install(true)
  show(load(string.dump(function() return "loaded " .. "bytecode" end))())]])
try("halo.run and tasks", [[halo.spawn(function() show(fs.readfile(SECRET)) end):join()
  halo.scope(function(scope) scope:spawn(function() show(fs.readfile(SECRET)) end) end)]])
try("coroutines, sort and gsub, where nothing can wait", [[
  show(coroutine.wrap(function() return fs.readfile(SECRET) end)())
  show(("x"):gsub("x", function() return fs.readfile(SECRET) or fs.readfile(RW .. "/link") end))
  table.sort({ 1, 2 }, function() show(fs.readfile(RW .. "/dirlink/secret")) return true end)]])
try("loops that LuaJIT compiles", [[for i = 1, 300 do
    local text = fs.readfile(SECRET) or fs.readfile(RW .. "/link") or fs.stat(SECRET)
      or fs.stat(RW .. "/link")
    if text then show("loaded bytecode", text) end
  end]])
try("descriptors by their numbers", [[for fd = 3, 40 do
    show(pcall(halo.poll, fd, "r", 0))
    if fs.fd then show(fs.fd(fd)) end
    show(fs.readfile("/proc/self/fd/" .. fd))
  end]])
try("standard streams as directories", [[for _, name in ipairs { "stdin", "stdout", "stderr" } do
    local dir = fs.at(halo[name]) show(dir) show(dir and dir:readfile(SECRET))
    show(pcall(halo[name].chmod, halo[name], "777"))
  end]])
try("a hundred at once", [[
  local list = {}
  for i = 1, 100 do list[i] = i end
  halo.map(list, function(i)
    show(fs.readfile(i % 2 == 0 and SECRET or RW .. "/link"))
    show(fs.writefile(OUT .. "/new" .. i, "x")) show(fs.chmod(RW .. "/dirlink/secret", "777"))
  end)]])

return escapes
