-- Every public function and method, called so that it succeeds and so that it is refused, for the
-- spec that counts the results. A row is a list of calls under a name:
--
--     { "open", ok = { "file" }, no = { "missing" } }
--
-- for one with a path: where a text names something of the fixture, the path of that is passed.
-- A call returns one value, unless it says another count; never: why nothing is refused; raises: it
-- has no place for nil, message and code; alone: not while others are under way; tasks: it waits
-- for tasks, so that it needs to yield.

local halo = require "halo"
local core = require "halo.core"
local posix = require "spec.support.posix"
local fs = halo.fs

local rows = {}

---Arguments that are just these texts.
local function text(value)
  return { text = value }
end

local buffer = halo.buffer(70000)
local LONG = ("x"):rep(300000)

---What fs and a Dir have both, by path.
-- stylua: ignore
rows.by_path = {
  { "watch", ok = { "dir" }, no = { "missing" }, raises = true },
  { "watch", ok = { "full", { recursive = true } }, no = { "missing", { recursive = true } },
    raises = true },
  { "poll", ok = { "file" }, never = "what cannot be seen is not there" },
  { "open", ok = { "file" }, no = { "missing" } },
  { "open", ok = { "free", text "w" }, no = { "dir", text "w" } },
  { "open", ok = { "free", text "w", { buffer = 10 } }, no = { "dir", text "w", { buffer = 10 } } },
  { "create", ok = { "free" }, no = { "dir" } },
  { "create", ok = { "free", { perm = "600", buffer = true } }, no = { "dir", { buffer = true } } },
  { "stat", ok = { "file" }, no = { "missing" } },
  { "stat", ok = { "file", text "size" }, no = { "missing", text "size" } },
  { "stat", ok = { "file", text "type" }, no = { "missing", text "id" } },
  { "stat", ok = { "file", text "id", text "mtime", text "type", count = 3 },
    no = { "missing", text "id", text "mtime" } },
  { "lstat", ok = { "link" }, no = { "missing" } },
  { "lstat", ok = { "link", text "size", text "mode", count = 2 },
    no = { "missing", text "size" } },
  { "access", ok = { "file", text "r" }, no = { "missing" } },
  { "exists", ok = { "file" }, no = { "loop" } },
  { "exists", ok = { "missing" }, no = { "long" } },
  { "chmod", ok = { "file", 420 }, no = { "missing", 420 } },
  { "chown", ok = { "file" }, no = { "missing" } },
  { "lchown", ok = { "link" }, no = { "missing" } },
  { "utime", ok = { "file", 1, 2 }, no = { "missing", 1, 2 } },
  { "lutime", ok = { "link", 1, 2 }, no = { "missing", 1, 2 } },
  { "mkdir", ok = { "free" }, no = { "file" } },
  { "rmdir", ok = { "dir" }, no = { "full" } },
  { "remove", ok = { "file" }, no = { "dir" } },
  { "readlink", ok = { "link" }, no = { "file" } },
  { "mkfifo", ok = { "free" }, no = { "file" } },
  { "mknod", ok = { "free", text "file" }, no = { "file", text "file" } },
  { "link", ok = { "file", "free" }, no = { "missing", "free" } },
  { "symlink", ok = { text "x", "free" }, no = { text "x", "file" } },
  { "rename", ok = { "file", "free" }, no = { "missing", "free" } },
  { "rename", ok = { "file", "full/x", { exchange = true } },
    no = { "file", "full/x", { noreplace = true } } },
  { "copy", ok = { "file", "free" }, no = { "dir", "free" } },
  { "mkdir", ok = { "dir", { parents = true } }, no = { "file", { parents = true } } },
  { "mkdir", ok = { "dir/a/b", { parents = true } }, no = { "through", { parents = true } } },
  { "mkdir", ok = { "free", { perm = 493 } }, no = { "file", { perm = 493 } } },
  { "rmtree", ok = { "full" }, no = { "missing" } },
  { "rmtree", ok = { "missing", { force = true } }, no = { "file", { force = true } } },
  { "remove", ok = { "full", { recursive = true } }, no = { "missing", { recursive = true } } },
  { "remove", ok = { "missing", { force = true } }, no = { "dir", { force = true } } },
  { "copytree", ok = { "full", "free" }, no = { "full", "dir" } },
  { "copytree", ok = { "full", "free", { follow = true, owner = true, xattrs = true } },
    no = { "full", "missing/x", { follow = true } } },
  { "copytree", ok = { "full", "dir", { merge = true } }, no = { "missing", "free" } },
  { "copytree", ok = { "dir", "free" }, no = { "full", "full/in" } },
  { "move", ok = { "file", "free" }, no = { "missing", "free" } },
  { "readdir", ok = { "full" }, no = { "file" } },
  { "readdir", ok = { "dir" }, no = { "missing" } },
  { "readfile", ok = { "file" }, no = { "missing" } },
  { "readfile", ok = { "empty" }, no = { "dir" } },
  { "readfile", ok = { "long_file" }, no = { "loop" } },
  { "readfile", ok = { text "/proc/self/status" }, no = { "socket" } },
  { "readfile", ok = { text "/dev/null" }, no = { "through" } },
  { "readfile_into", ok = { "file", buffer }, no = { "long_file", buffer } },
  { "readfile_into", ok = { "empty", buffer }, no = { "missing", buffer } },
  { "readfile_into", ok = { text "/dev/null", buffer }, no = { "dir", buffer } },
  { "hash", ok = { "file" }, no = { "missing" } },
  { "hash", ok = { "long_file", text "sha256" }, no = { "dir", text "sha256" } },
  { "walk", ok = { "full", count = 2 }, never = "it raises in the loop" },
  { "at", ok = { "dir" }, no = { "file" } },
  { "statfs", ok = { "file" }, no = { "missing" } },
  { "truncate", ok = { "file", 1 }, no = { "missing", 1 } },
  { "getxattr", ok = { "file", text "user.there" }, no = { "file", text "user.none" } },
  { "setxattr", ok = { "file", text "user.x", text "x" },
    no = { "missing", text "user.x", text "x" } },
  { "listxattr", ok = { "file" }, no = { "missing" } },
  { "removexattr", ok = { "file", text "user.there" }, no = { "file", text "user.none" } },
  { "lgetxattr", ok = { "file", text "user.there" }, no = { "link", text "user.none" } },
  { "lsetxattr", ok = { "file", text "user.x", text "x" },
    no = { "missing", text "user.x", text "x" } },
  { "llistxattr", ok = { "link" }, no = { "missing" } },
  { "lremovexattr", ok = { "file", text "user.there" }, no = { "file", text "user.none" } },
  { "tempfile", ok = { "dir" }, no = { "missing" } },
  { "mkstemp", ok = { "free", count = 2 }, no = { "missing/x" } },
  { "mkdtemp", ok = { "free" }, no = { "missing/x" } },
  { "writefile", ok = { "free", text "x" }, no = { "dir", text "x" } },
  { "writefile", ok = { "file", text(LONG), { sync = true } },
    no = { text "/dev/full", text "x" } },
  { "writefile", ok = { "file", { text = buffer } }, no = { "socket", text "x" } },
  { "writefile", ok = { "file", text "x", { append = true } },
    no = { "dir", text "", { append = true } } },
  { "writefile", ok = { "free", text "x", { exclusive = true } },
    no = { "file", text "x", { exclusive = true } } },
  { "writefile", ok = { "file", text "x", { atomic = true } },
    no = { "fifo", text "x", { atomic = true } } },
  { "writefile", ok = { "free", text "x", { atomic = true, exclusive = true } },
    no = { "file", text "x", { atomic = true, exclusive = true } } },
  { "glob", ok = { text "/proc/self/*" }, never = "what cannot be seen does not fit" },
  { "dir", ok = { "full", count = 2 }, no = { "missing" }, raises = true },
  { "lines", ok = { "file", count = 2 }, no = { "missing" }, raises = true },
  { "mkdir", ok = { "dir", { parents = true } }, no = { "file", { parents = true } } },
  { "mkdir", ok = { "dir/a/b", { parents = true } }, no = { "through", { parents = true } } },
  { "mkdir", ok = { "free", { perm = 493 } }, no = { "file", { perm = 493 } } },
  { "remove", ok = { "full", { recursive = true } }, no = { "missing", { recursive = true } } },
  { "remove", ok = { "missing", { force = true } }, no = { "dir", { force = true } } },
  { "rmtree", ok = { "full" }, no = { "missing" } },
  { "rmtree", ok = { "missing", { force = true } }, no = { "file", { force = true } } },
  { "copytree", ok = { "full", "free" }, no = { "full", "dir" } },
  { "copytree", ok = { "full", "dir", { merge = true } }, no = { "missing", "free" } },
  { "copytree", ok = { "dir", "free" }, no = { "full", "full/in" } },
  { "move", ok = { "file", "free" }, no = { "missing", "free" } },
  { "move", ok = { "file", "away" }, no = { "file", "full/x", { noreplace = true } } },
  { "move", ok = { "full", "away" }, no = { "file", "dir" } },
}

---What fs alone has.
-- stylua: ignore
rows.fs = {
  { "realpath", ok = { "link" }, no = { "missing" } },
  { "chdir", ok = { text "." }, no = { "missing" }, alone = true },
  { "cwd", ok = {}, never = "only where the directory was removed" },
  { "umask", ok = {}, never = "umask(2) always succeeds" },
  { "sync", ok = {}, never = "sync(2) always succeeds" },
}

---Calls of a File that is open for both; they are refused once it is closed.
-- stylua: ignore
rows.file = {
  { "close", ok = {} },
  { "read", ok = { 1 } },
  { "read", ok = { 0 } },
  { "read", ok = { 70000 } },
  { "read", ok = { text "a" } },
  { "pread", ok = { 1, 1 } },
  { "pread", ok = { 0, 1 } },
  { "pread", ok = { 70000, 2 } },
  { "pread", ok = { 1, 1e6, ended = true } },
  { "pread", ok = { 70000, 1e6, ended = true } },
  { "pread", ok = { 0, 1e6, ended = true } },
  { "read_into", ok = { buffer } },
  { "pread_into", ok = { buffer, 1, 0 } },
  { "pread_into", ok = { buffer, nil, 1e6 } },
  { "readv", ok = { { buffer } } },
  { "readv", ok = { {} } },
  { "write", ok = { text "x" } },
  { "write", ok = { text "" } },
  { "write", ok = {} },
  { "write", ok = { text "x", 12, buffer, { "y", 1.5 } } },
  { "write", ok = { { "x", buffer } } },
  { "pwrite", ok = { text(LONG), 3 } },
  { "pwrite", ok = { buffer, 1 } },
  { "pwrite", ok = { { "x", 12 }, 1 } },
  { "flush", ok = {} },
  { "setvbuf", ok = { text "full" } },
  { "setvbuf", ok = { text "no" } },
  { "fsync", ok = {} },
  { "fdatasync", ok = {} },
  { "ftruncate", ok = { 3 } },
  { "fchmod", ok = { 420 } },
  { "fchown", ok = {} },
  { "futime", ok = { 1, 2 } },
  { "fallocate", ok = { 0, 10 } },
  { "fadvise", ok = { text "normal" } },
  { "sync_file_range", ok = {} },
  { "seek", ok = { text "set", 1 } },
  { "seek", ok = {} },
  { "seek", ok = { text "cur" } },
  { "seek", ok = { text "end", -1 } },
  { "seek", ok = { text "data", 0 } },
  { "seek", ok = { text "hole", 0 } },
  { "tell", ok = {} },
  { "lock", ok = { text "exclusive" } },
  { "lock", ok = { text "shared", 0 } },
  { "lock", ok = { text "shared", 5 }, tasks = true },
  { "unlock", ok = {} },
  { "fstat", ok = {} },
  { "fstat", ok = { text "size" } },
  { "fstat", ok = { text "id", text "type", count = 2 } },
  { "statfs", ok = {} },
  { "getxattr", ok = { text "user.there" } },
  { "setxattr", ok = { text "user.x", text "x" } },
  { "hash", ok = {} },
  { "hash", ok = { text "sha256" } },
  { "listxattr", ok = {} },
  { "removexattr", ok = { text "user.there" } },
}

---Methods of a File that are functions of another name, and those that fs has not.
-- stylua: ignore
rows.method_names = {
  ftruncate = "truncate", fchmod = "chmod", fchown = "chown", futime = "utime", fstat = "stat",
}

-- stylua: ignore
rows.methods = {
  { "is_open", ok = {}, never = "it asks halo alone" },
  { "path", ok = {}, never = "it asks halo alone" },
  { "fd", ok = {}, never = "it asks halo alone" },
  { "lines", ok = { count = 2 }, never = "it raises" },
}

-- ---- what is not about files --------------------------------------------------------------------

local function none() end

local function three()
  return 1, nil, nil
end

local function ended()
  local task = halo.spawn(none)
  task:join()
  return task
end

local function waiting()
  local task = halo.spawn(halo.sleep, 0.001)
  halo.yield()
  return task
end

local raises = "misuse raises, and nothing else goes wrong"

---A call of fn by scope, whose results are those of the method.
local function in_scope(name, ...)
  local arguments, count = { ... }, select("#", ...)
  return function()
    return halo.scope(function(scope)
      return scope[name](scope, unpack(arguments, 1, count))
    end)
  end
end

local function closed_channel()
  local channel = halo.channel(1)
  channel:close()
  return channel
end

local function full_channel()
  local channel = halo.channel(1)
  channel:send(1)
  return channel
end

---What fn returns of a process; it is over then, and so is the task that has looked after it.
local function results_of(fn, process)
  return { fn(process) }
end

---Where a fault keeps it from being killed, it is killed all the same, or it would be waited for.
local function with_process(command, fn)
  command.stdin, command.stdout = "null", "null"
  local process, message, code = halo.process.spawn(command)
  if not process then
    return nil, message, code
  end
  local ok, results = pcall(results_of, fn, process)
  if not ok then
    posix.kill(process.pid)
    error(results, 0)
  end
  process:wait()
  halo.sleep(0.02)
  return unpack(results)
end

local function with_files(fn)
  local from, message, code = fs.open "/dev/null"
  if not from then
    return nil, message, code
  end
  local to
  to, message, code = fs.open("/dev/null", "w")
  if not to then
    from:close()
    return nil, message, code
  end
  local results = { fn(from, to) }
  from:close()
  to:close()
  return unpack(results)
end

---name, call; count, refused by
-- stylua: ignore
rows.others = {
  { "halo.run", function() return halo.run(none) end, count = 0, never = raises },
  { "halo.run", function() return halo.run(three) end, count = 3, never = raises },
  { "halo.spawn", function() return halo.spawn(none) end, never = raises },
  { "halo.scope", function() return halo.scope(none) end, count = 0, never = raises },
  { "halo.scope", function() return halo.scope(three) end, count = 3, never = raises },
  { "halo.map", function() return halo.map({ 1, 2 }, three) end, never = raises },
  { "halo.map", function() return halo.map({}, three) end, never = raises },
  { "halo.all", function() return halo.all { none, three } end, never = raises },
  { "halo.race", function() return halo.race { three } end, count = 3, never = raises },
  { "halo.race", function() return halo.race { none } end, count = 0, never = raises },
  { "halo.timeout", function() return halo.timeout(9, three) end, count = 3,
    no = function() return halo.timeout(0, halo.sleep, 9) end },
  { "halo.timeout", function() return halo.timeout(9, none) end, count = 0,
    no = function() return halo.timeout(0.001, halo.sleep, 9) end },
  { "halo.shield", function() return halo.shield(three) end, count = 3, never = raises },
  { "halo.is_cancelled", function() return halo.is_cancelled(1) end, never = raises },
  { "halo.semaphore", function() return halo.semaphore(1) end, never = raises },
  { "halo.channel", function() return halo.channel() end, never = raises },
  { "halo.select", function() return halo.select { full_channel() } end, count = 2,
    never = raises },
  { "halo.select", function() return halo.select { closed_channel() } end, count = 2,
    no = function() return halo.select { halo.channel(), default = true } end },
  { "halo.select", function() return halo.select { halo.channel(), default = three } end, count = 3,
    never = raises },
  { "halo.select", function() return halo.select { { halo.channel(1), 1 } } end, never = raises },
  { "halo.current", function() return halo.current() end, never = raises },
  { "halo.yield", function() return halo.yield() end, never = raises },
  { "halo.sleep", function() return halo.sleep(0) end, never = raises },
  { "halo.now", function() return halo.now() end, never = raises },
  { "halo.stats", function() return halo.stats() end, never = raises },
  { "halo.engine", function() return halo.engine() end, count = 4, never = raises },
  { "halo.buffer", function() return halo.buffer(1) end, never = raises },
  { "halo.tasks", function() return halo.tasks() end, never = raises },
  { "Task:join", function() return halo.spawn(none):join() end, count = 0, never = raises },
  { "Task:join", function() return halo.spawn(three):join() end, count = 3, never = raises },
  { "Task:cancel", function() return waiting():cancel() end,
    no = function() return ended():cancel() end },
  { "Task:status", function() return ended():status() end, never = raises },
  { "Task:status", function() return waiting():status() end, count = 3, never = raises },
  { "Buffer:string", function() return buffer:string(0, 1) end, never = raises },
  { "Buffer:set", function() return buffer:set "x" end, never = raises },
  { "Buffer:search", function() return buffer:search "x" end, never = "not to find is an answer" },
  { "Buffer:size", function() return buffer:size() end, never = raises },
  { "Buffer:ptr", function() return buffer:ptr() end, never = raises },
  { "Buffer:address", function() return buffer:address() end, never = raises },
  { "Scope:spawn", in_scope("spawn", none), never = raises },
  { "Scope:defer", in_scope("defer", none), never = raises },
  { "Scope:failures", in_scope "failures", never = raises },
  { "Scope:cancel", function()
    local results = {}
    pcall(halo.scope, function(scope)
      results = { scope:cancel() }
    end)
    return unpack(results)
  end, never = raises },
  { "Channel:send", function() return halo.channel(1):send(1) end, never = raises },
  { "Channel:recv", function() return full_channel():recv() end, never = raises },
  { "Channel:recv", function() return closed_channel():recv() end, never = raises },
  { "Channel:close", function() return halo.channel():close() end, never = raises },
  { "Channel:is_closed", function() return halo.channel():is_closed() end, never = raises },
  { "Semaphore:acquire", function() return halo.semaphore(1):acquire() end, never = raises },
  { "Semaphore:try_acquire", function() return halo.semaphore(1):try_acquire() end,
    never = raises },
  { "Semaphore:release", function()
    local semaphore = halo.semaphore(1)
    semaphore:acquire()
    return semaphore:release()
  end, never = raises },
  { "Semaphore:with", function() return halo.semaphore(1):with(three) end, count = 3,
    never = raises },
  { "Watch:next", function()
    local watch = fs.watch "/proc/self"
    watch:close()
    return watch:next()
  end, never = raises },
  { "Watch:close", function() return fs.watch "/proc/self":close() end,
    never = "a second close finds all done" },
  { "Walk:close", function() return select(2, fs.walk "/proc/self"):close() end, never = raises },
  { "process.run", function() return halo.process.run { "true" } end, count = 2,
    no = function() return halo.process.run { "halo-no-such-command" } end },
  { "process.run", function() return halo.process.run { "true", stderr = "pipe" } end, count = 3,
    no = function() return halo.process.run { "true", cwd = "/no/such" } end },
  { "process.pipeline", function() return halo.process.pipeline { { "true" }, { "cat" } } end,
    count = 2, no = function() return halo.process.pipeline { { "true" }, { "/no/such" } } end },
  { "process.spawn", function()
    return with_process({ "true" }, function(process) return process end)
  end, no = function() return halo.process.spawn { "halo-no-such-command" } end },
  { "Process:wait", function()
    return with_process({ "true" }, function(process) return process:wait() end)
  end, never = raises },
  { "Process:wait", function()
    return with_process({ "sh", "-c", "kill -9 $$" }, function(process) return process:wait() end)
  end, count = 2, never = raises },
  { "Process:kill", function()
    return with_process({ "sleep", "20" }, function(process) return process:kill() end)
  end, no = function()
    return with_process({ "true" }, function(process)
      process:wait()
      return process:kill()
    end)
  end },
  { "halo.copy", function() return with_files(halo.copy) end, no = function()
    local file = assert(fs.open "/dev/null")
    file:close()
    return halo.copy(file, halo.stderr)
  end },
  { "halo.poll", function() return halo.poll(2, "w") end,
    no = function() return halo.poll(99999) end },
  { "halo.poll", function() return halo.poll(2, "w", 9) end,
    no = function() return halo.poll(99999, "r", 1) end },
  { "halo.lines", function() return halo.lines(halo.stdin) end, tasks = true, never = raises },
  { "path.is_absolute", function() return halo.path.is_absolute "x" end, never = raises },
  { "path.join", function() return halo.path.join("x", "y") end, never = raises },
  { "path.basename", function() return halo.path.basename("x.c", ".c") end, never = raises },
  { "path.dirname", function() return halo.path.dirname "x/y" end, never = raises },
  { "path.extension", function() return halo.path.extension "x.c" end, never = raises },
  { "path.relative", function() return halo.path.relative("/x/y", "/x") end, never = raises },
  { "path.absolute", function() return halo.path.absolute "x" end,
    never = "only where the directory was removed" },
  { "path.normalize", function() return halo.path.normalize "x/../y" end, never = raises },
}

---Everything public: where its rows stand, and the table whose functions they are.
---@return table<string, table>
function rows.modules()
  local dir, watch = assert(fs.at "/"), assert(fs.watch "/proc/self")
  local _, walk = fs.walk "/"
  local modules = {
    ["halo."] = halo,
    ["path."] = halo.path,
    ["Task:"] = core.Task,
    ["Buffer:"] = core.Buffer,
    ["File:"] = core.File,
    ["Dir:"] = getmetatable(dir),
    ["Channel:"] = getmetatable(halo.channel()),
    ["Semaphore:"] = getmetatable(halo.semaphore(1)),
    ["Walk:"] = getmetatable(walk),
    ["Watch:"] = getmetatable(watch),
  }
  halo.scope(function(scope)
    modules["Scope:"] = getmetatable(scope)
    with_process({ "true" }, function(process)
      modules["Process:"] = getmetatable(process)
      return true
    end)
  end)
  modules["process."] = halo.process
  assert(halo.copy and halo.lines and halo.poll)
  for name in pairs(getmetatable(fs).modules) do
    assert(fs[name], name)
  end
  modules["fs."] = fs
  dir:close()
  watch:close() -- not left to the collector, which may see it in a register for long
  walk:close()
  return modules
end

return rows
