-- Other programs, for specs. A command is a line for the shell, which quote() and halo() help to
-- make out of words:
--
--     local stdout, stderr, status = command.run(command.halo("-e", "print(1)"))
--
-- waits for its end, and start() talks with it meanwhile. A command that does not come to its end
-- is ended after a while, with status 124.

local posix = require "spec.support.posix"
local slowness = require "spec.support.slowness"

local PATIENCE_S = 30 * slowness -- far more than anything here takes, sanitizers included

local command = {}

local function output_of(line)
  local pipe = assert(io.popen(line))
  local output = pipe:read("*a")
  pipe:close()
  return output
end

local here = output_of("pwd"):gsub("\n$", "")

---The directory of the products, absolute.
command.build_dir = os.getenv("BUILD_DIR") or here .. "/build"

---The command halo, absolute.
command.halo_bin = os.getenv("HALO_BIN") or command.build_dir .. "/halo"

---A line that starts plain luajit, able to load halo.so.
command.luajit = ("env LUA_CPATH='%s/?.so;;' %s"):format(command.build_dir,
  os.getenv("HALO_LUAJIT") or "luajit")

---The words as a line of the shell that means just them.
---@param ... string
---@return string
function command.quote(...)
  local words = { ... }
  for i, word in ipairs(words) do
    words[i] = "'" .. tostring(word):gsub("'", "'\\''") .. "'"
  end
  return table.concat(words, " ")
end

---A line that runs halo with these arguments.
---@param ... string
---@return string
function command.halo(...)
  return command.quote(command.halo_bin, ...)
end

---The same for scripts behind a fence, which keeps a sanitizer from what it looks for leaks by.
---@return string
function command.halo_fenced(...)
  return "env ASAN_OPTIONS=detect_leaks=0:exitcode=99 " .. command.halo(...)
end

---The uid that command.as_user() takes.
command.USER = 65534

---The same line, run as a user without privileges, which only root can.
---@param line string
---@return string
function command.as_user(line)
  if command.exists "setpriv" then
    return ("setpriv --reuid=%d --regid=%d --clear-groups %s"):format(command.USER, command.USER,
      line)
  end
  return "su nobody -s /bin/sh -c " .. command.quote(line)
end

---Whether there is a program of this name.
---@param name string
---@return boolean
function command.exists(name)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(name)) == 0
end

local function read_all(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

---The line under a time limit, its status written below its output.
local function wrap(line, directory, patience_s)
  return ("timeout -k 5 %d sh -c %s 2>%s/stderr; printf '\\n%%d' $?"):format(
    patience_s or PATIENCE_S, command.quote(line), directory)
end

---What wrap() has made of the output: the output itself, what went to stderr, and the status.
local function unwrap(output, directory)
  local stdout, status = output:match("^(.*)\n(%d+)$")
  local stderr = read_all(directory .. "/stderr")
  os.execute(("rm -r '%s'"):format(directory))
  return stdout, stderr, tonumber(status)
end

---Runs a line and waits for its end. Its input is empty, unless the line itself says otherwise.
---@param line string
---@param patience_s number? where it may take longer than others
---@return string stdout
---@return string stderr
---@return integer status 128 + n where signal n ended it
function command.run(line, patience_s)
  local directory = posix.mkdtemp()
  return unwrap(output_of("exec </dev/null; " .. wrap(line, directory, patience_s)), directory)
end

---@class spec.Process a command that runs beside the spec
---@field pid integer
local Process = {}
Process.__index = Process

---Starts a line that is one simple command (it gets no shell of its own), its input open.
---@param line string
---@param patience_s number? where it has to last longer than others
---@return spec.Process
function command.start(line, patience_s)
  local directory = posix.mkdtemp()
  local fifo = directory .. "/stdin"
  posix.mkfifo(fifo)
  local output = assert(io.popen(("exec <%s; "):format(fifo)
    .. wrap("echo $$; exec " .. line, directory, patience_s)))
  local input = assert(io.open(fifo, "w"))
  input:setvbuf("no")
  local pid = output:read("*n", "*l")
  return setmetatable({
    pid = pid,
    input = input,
    output = output,
    seen = "", -- of the output
    directory = directory,
  }, Process)
end

---Gives it input.
---@param text string
function Process:type(text)
  assert(self.input:write(text))
end

---Reads its output up to this text, which has to come.
---@param text string
function Process:await(text)
  local characters, latest = {}, ""
  while latest ~= text do
    local character = self.output:read(1)
    if not character then
      self.seen = self.seen .. table.concat(characters)
      local rest = table.concat({ self:finish() }, " ")
      error(("it ended before it said %q: %s"):format(text, rest), 2)
    end
    characters[#characters + 1] = character
    latest = (latest .. character):sub(-#text)
  end
  self.seen = self.seen .. table.concat(characters)
end

---Returns when it waits for something.
function Process:await_sleep()
  repeat
    local state = read_all(("/proc/%d/stat"):format(self.pid)):match("%) (%a)")
  until state ~= "R"
end

---Sends it a signal. False where it is no more.
---@param signal string a name without SIG
---@return boolean
function Process:signal(signal)
  return os.execute(("kill -%s %d 2>/dev/null"):format(signal, self.pid)) == 0
end

---Ends its input and waits for its end.
---@return string stdout all of it
---@return string stderr
---@return integer status
function Process:finish()
  self.input:close()
  local output = self.seen .. self.output:read("*a")
  self.output:close()
  return unwrap(output, self.directory)
end

return command
