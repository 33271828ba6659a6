-- What a program is started from: checks, which raise at the caller's line before anything is done.

local core = require "halo.core"
local check = require "halo.fs.check"

local STREAMS = { "stdin", "stdout", "stderr" }
local GRACE_S = 2

---@class halo.ProcessOptions
---@field [integer] string|number the command, which is looked for in PATH, and its arguments
---@field stdin "pipe"|"null"|"inherit"|halo.File?
---@field stdout "pipe"|"null"|"inherit"|halo.File?
---@field stderr "pipe"|"null"|"inherit"|"stdout"|halo.File? "stdout": to where that goes
---@field cwd string|halo.Dir? the directory that it starts in
---@field env table<string, string|number|false>? what is added to the environment; false takes away
---@field clear_env boolean? the environment is env alone
---@field grace number? seconds from TERM to KILL where its scope is cancelled; 2 by default

local options = { streams = STREAMS }

options.known = {
  stdin = true,
  stdout = true,
  stderr = true,
  cwd = true,
  env = true,
  clear_env = true,
  grace = true,
}

local function check_text(text, what, name)
  if text:find("\0", 1, true) then
    check.fail(what .. " contains a NUL byte", 1, name)
  end
  return text
end

---@param words any[]
---@param name string
---@return string[]
function options.words(words, name)
  local argv = {}
  for i = 1, #words do
    local word, what = words[i], ("word %d of the command"):format(i)
    if type(word) ~= "string" and type(word) ~= "number" then
      check.fail(("%s: string expected, got %s"):format(what, check.got(word)), 1, name)
    end
    argv[i] = check_text(tostring(word), what, name)
  end
  if not argv[1] or argv[1] == "" then
    check.fail('a command expected, such as { "ls", "-l" }', 1, name)
  end
  return argv
end

local function check_known(given, known, name)
  for key in pairs(given) do
    local is_word = type(key) == "number" and key >= 1 and key <= #given and key % 1 == 0
    if not is_word and not known[key] then
      check.fail(("no option '%s'"):format(tostring(key)), 1, name)
    end
  end
end

local function check_variable(key, value, name)
  if type(key) ~= "string" or key == "" or key:find "[=%z]" then
    check.fail(("env: no variable can be called '%s'"):format(tostring(key)), 1, name)
  elseif value == false then
    return nil
  elseif type(value) ~= "string" and type(value) ~= "number" then
    local problem = "env: a string, or false, expected for %s, got %s"
    check.fail(problem:format(key, type(value)), 1, name)
  end
  return check_text(("%s=%s"):format(key, value), "env: " .. key, name)
end

---@return string[]? # "NAME=value" each; nil for that of this process
local function environment(given, name)
  local env = given.env
  if env == nil and not given.clear_env then
    return nil
  elseif env ~= nil and type(env) ~= "table" then
    check.fail(("env: table expected, got %s"):format(type(env)), 1, name)
  end
  local lines = {}
  for key, value in pairs(env or {}) do
    lines[#lines + 1] = check_variable(key, value, name)
  end
  for _, line in ipairs(given.clear_env and {} or core.environment()) do
    if not env or env[line:match "^[^=]*"] == nil then
      lines[#lines + 1] = line
    end
  end
  return lines
end

local WORDS = { pipe = true, null = true, inherit = true }

---@param value any
---@param which "stdin"|"stdout"|"stderr"
---@param name string
local function check_stream(value, which, name)
  if WORDS[value] or (value == "stdout" and which == "stderr") or check.is_file(value) then
    return value
  end
  local got = type(value) == "string" and ("%q"):format(value) or type(value)
  local problem = '%s: "pipe", "null", "inherit" or a File expected, got %s'
  if which == "stdin" and type(value) == "string" then
    problem = problem .. ": what it is to read goes to run, as input"
  end
  check.fail(problem:format(which, got), 1, name)
end

---@param value any
---@param what string
---@param name string
---@return number
function options.seconds(value, what, name)
  if type(value) ~= "number" or value ~= value or value < 0 then
    check.fail(("%s: a number of seconds expected, got %s"):format(what, tostring(value)), 1, name)
  end
  return value
end

local function check_cwd(value, name)
  if type(value) == "string" then
    return check.path(value, 1, name)
  elseif value ~= nil and (type(value) ~= "table" or not value.readdir) then
    check.fail(("cwd: a path or a Dir expected, got %s"):format(type(value)), 1, name)
  end
  return value
end

---@param given any
---@param known table<string, true>
---@param defaults table<string, string> of the streams
---@param name string of the function
---@return table # argv, env, the streams, cwd, grace
function options.check(given, known, defaults, name)
  if type(given) ~= "table" then
    check.type_error("table", given, 1, name)
  end
  check_known(given, known, name)
  local checked = {
    argv = options.words(given, name),
    env = environment(given, name),
    cwd = check_cwd(given.cwd, name),
    grace = given.grace == nil and GRACE_S or options.seconds(given.grace, "grace", name),
  }
  for _, which in ipairs(STREAMS) do
    local value = given[which]
    checked[which] = check_stream(value == nil and defaults[which] or value, which, name)
  end
  return checked
end

return options
