-- Names by pattern. A pattern is a row of parts, one for each name of a path, and what is matched
-- in a directory is a set of them: "**/x" is at both of its parts in each directory, which is read
-- once however often it fits.

local braces = require "halo.fs.braces"
local calls = require "halo.fs.calls"
local check = require "halo.fs.check"
local core = require "halo.core"
local workers = require "halo.fs.workers"
local pattern = require "halo.fs.pattern"
local stat = require "halo.fs.stat"
local refused = require("halo.wait").refused

---@class halo.fs
local fs = {}

---What hides names from a search, and is no failure.
local nothing_there = {
  ENOENT = true, ENOTDIR = true, ELOOP = true, ENAMETOOLONG = true, EACCES = true, EPERM = true,
}

---@class halo.fs.Glob
---@field parts halo.fs.NamePattern[]
---@field only_dirs boolean it ended in a slash
---@field dir string what stands before the paths to look at them; "" for the working directory
---@field hidden boolean?
---@field workers halo.fs.Workers
---@field found table<string, true>
---@field failure { [1]: string, [2]: string }?

local function fail(self, message, code)
  if not nothing_there[code] then
    self.failure = self.failure or { message, code }
  end
end

---Adds a path, once it is known to be a directory where it has to.
---@async
local function add(self, path, kind)
  if not self.only_dirs then
    self.found[path] = true
  elseif kind == "dir" or kind ~= "file" and calls.stat(self.dir .. path, "is_dir") then
    self.found[path .. "/"] = true
  end
end

local visit

---Goes on in a directory with what comes behind the part that its name fits.
local function enqueue(self, path, states)
  self.workers:add(visit, self, path .. "/", states)
end

---A name that needs no look into the directory.
---@async
local function look_up(self, prefix, state)
  local path = prefix .. self.parts[state].literal
  if state < #self.parts then
    return enqueue(self, path, { state + 1 })
  end
  local kind, message, code = calls.lstat(self.dir .. path, "type")
  if kind then
    add(self, path, kind)
  else
    fail(self, message, code)
  end
end

---@async
local function match_entry(self, prefix, name, kind, states)
  local parts, next_states = self.parts, nil
  for i = 1, #states do
    local state = states[i]
    local part = parts[state]
    if part:matches(name, self.hidden) then
      if state == #parts then
        add(self, prefix .. name, kind)
      elseif not part.deep and kind ~= "file" then
        next_states = next_states or {}
        next_states[#next_states + 1] = state + 1
      end
      if part.deep and kind == "dir" then
        next_states = next_states or {}
        next_states[#next_states + 1] = state
      end
    end
  end
  if next_states then
    enqueue(self, prefix .. name, next_states)
  end
end

---The parts to be matched in a directory: `**` may also stand for no directory at all.
local function all_states(self, states)
  local seen, all = {}, {}
  for _, state in ipairs(states) do
    while state and not seen[state] do
      seen[state] = true
      all[#all + 1] = state
      state = self.parts[state].deep and state < #self.parts and state + 1 or nil
    end
  end
  return all
end

local function needs_listing(self, states)
  for _, state in ipairs(states) do
    if not self.parts[state].literal then
      return true
    end
  end
  return false
end

---@async
function visit(self, prefix, states)
  local row, count, code
  states = all_states(self, states)
  if needs_listing(self, states) then
    local path = self.dir .. prefix
    row, count, code = core.list(path == "" and "." or path, 0)
    if not row then
      local _, message = refused(count, code)
      fail(self, message, code)
    end
  end
  for at = 1, row and 2 * count or 0, 2 do
    match_entry(self, prefix, row[at], stat.kind(row[at + 1]), states)
  end
  for _, state in ipairs(states) do
    local name = self.parts[state].literal
    if name and (not row or name == "." or name == "..") then
      look_up(self, prefix, state)
    end
  end
end

---The patterns of the names of a path. Raises where one is broken.
---@return halo.fs.NamePattern[]
local function parse(text)
  local parts = {}
  for name in text:gmatch "[^/]+" do
    table.insert(parts, pattern.name(name))
  end
  return parts
end

---@async
local function expand(self, text)
  self.parts, self.only_dirs = parse(text), text:sub(-1) == "/"
  local root = text:match "^/" or ""
  if root ~= "" then
    self.dir = ""
  end
  if self.parts[1] then
    workers.run(self.workers, visit, self, root, { 1 })
  elseif root ~= "" then
    self.found["/"] = true
  end
end

---@class halo.GlobOptions
---@field dir string? where relative patterns begin, and the paths found
---@field hidden boolean? a name that begins with a dot fits as any other

---The paths that fit a pattern, sorted. `*` stands for any characters of a name, `?` for one,
---`[a-z]` for one of these and `[!a-z]` for one of the others, and `**` as a whole name for any
---directories one in the other, or none; as the last name, for everything below. In a set
---`[:digit:]` stands for a class, as in `[[:digit:]_]`: alnum, alpha, ascii, blank, cntrl, digit,
---graph, lower, print, punct, space, upper, word or xdigit, of ASCII alone.
---
---`{c,lua}` stands for each in turn, `{1..10}`, `{01..10}`, `{a..e}` and `{1..10..2}` for each of a
---range, as in bash; other braces are themselves. `\` takes the meaning off what follows. A name
---that begins with a dot fits only a pattern that does so. A slash at the end asks for directories.
---`**` follows no symbolic links.
---
---A bracket or a brace that is not closed is itself; a class that is none, or not closed, raises.
---
---What cannot be seen for lack of permission does not fit; other failures are reported.
---@async
---@param text string the pattern
---@param options halo.GlobOptions?
---@return string[]? paths
---@return string? message
---@return string? code
function fs.glob(text, options)
  check.path(text, 1, "glob")
  options = check.options(options, 2, "glob", { dir = true, hidden = true })
  local dir = options.dir == nil and "" or check.path(options.dir, 2, "glob")
  dir = (dir == "" or dir:match "/$") and dir or dir .. "/"
  local alternatives, found, paths = braces.expand(text), {}, {}
  for _, alternative in ipairs(alternatives) do
    parse(alternative) -- what is broken raises before anything is looked at
  end
  for _, alternative in ipairs(alternatives) do
    local self = { found = found, dir = dir, workers = workers.new(), hidden = options.hidden }
    expand(self, alternative)
    if self.failure then
      return nil, self.failure[1], self.failure[2]
    end
  end
  for path in pairs(found) do
    paths[#paths + 1] = path
  end
  table.sort(paths)
  return paths
end

return fs
