-- Names by pattern. A pattern is a row of parts, one for each name of a path, and what is matched
-- in a directory is a set of them: "**/x" is at both of its parts in each directory, which is read
-- once however often it fits.
--
-- What is looked at begins in an anchor, a directory that is held open. Behind it no link is
-- followed once a `**` has come that way, whoever puts one where a directory was. A link that
-- another part leads through becomes an anchor itself, and so does a directory whose path gets
-- long.

local braces = require "halo.fs.braces"
local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local workers = require "halo.fs.workers"
local paths = require "halo.fs.paths"
local pattern = require "halo.fs.pattern"
local stat = require "halo.fs.stat"
local wait = require "halo.wait"

local checked, guard, refused, settle = wait.checked, wait.guard, wait.refused, wait.settle
local NO_LINKS = core.confine_flags.no_links
local PLACE = core.flags.PATH + core.flags.DIRECTORY

local WAY_MAX = 3072 -- bytes from an anchor on; what a pattern adds has to fit into PATH_MAX, too

---@class halo.fs
local fs = {}

---What hides names from a search, and is no failure.
local nothing_there = {
  ENOENT = true, ENOTDIR = true, ELOOP = true, ENAMETOOLONG = true, EACCES = true, EPERM = true,
}

---@class halo.fs.Anchor
---@field file halo.File
---@field linkless halo.File? the same, from where no link is followed
---@field skip integer its bytes in the paths to look at
---@field users integer
---@field own boolean it is closed with the last of them

---@class halo.fs.GlobJob a directory
---@field path string as it will be found, and a slash
---@field states integer[] of the parts to be matched in it
---@field anchor halo.fs.Anchor
---@field linkless boolean no link is behind the anchor, nor may be
---@field matched boolean it has been met, and not only named by the pattern
---@field above halo.fs.GlobJob? and
---@field name string? where it has to be opened there, for it may be a link

---@class halo.fs.Glob
---@field parts halo.fs.NamePattern[]
---@field only_dirs boolean it ended in a slash
---@field base halo.File
---@field root halo.fs.Anchor
---@field root_path string? by which it was opened
---@field dir string what stands before the paths to look at them
---@field hidden boolean?
---@field workers halo.fs.Workers
---@field anchors table<halo.fs.Anchor, true>
---@field found table<string, true>
---@field failure { [1]: string, [2]: string }?

---Remembers the first failure, its message about the path that was looked at.
local function fail(self, job, message, code, name)
  -- What a name leads to by chance is only not seen: a pattern that leads out is refused.
  if not nothing_there[code] and not (code == "EXDEV" and job.matched) then
    local text, path = message:match "^%w+: [^:]*" or message, self.dir .. job.path .. (name or "")
    self.failure = self.failure or { text .. ": " .. (path == "" and "." or path), code }
  end
end

-- ---- anchors ------------------------------------------------------------------------------------

local function close(file)
  if file then
    pcall(core.close, file) -- in a task that was cancelled it is carried out, and raises
  end
end

local function new_anchor(self, file, skip, own)
  local anchor = { file = own and core.as_base(file) or file, skip = skip, users = 1, own = own }
  self.anchors[anchor] = true
  return anchor
end

local function close_anchor(self, anchor)
  self.anchors[anchor] = nil
  close(anchor.linkless)
  close(anchor.own and anchor.file)
end

local function release(self, anchor)
  anchor.users = anchor.users - 1
  if anchor.users == 0 then
    close_anchor(self, anchor)
  end
end

---What the way to a job's directory begins in.
---@async
---@return halo.File?
local function base_of(job)
  local anchor = job.anchor
  if not job.linkless then
    return anchor.file
  elseif not anchor.linkless then
    local file, message, code = checked(core.open(anchor.file, ".", PLACE))
    if not file then
      return nil, message, code
    elseif anchor.linkless then
      close(file) -- another task was faster
    else
      anchor.linkless = core.as_base(core.confine(file, NO_LINKS))
    end
  end
  return anchor.linkless
end

---The way from the anchor to what is in a job's directory.
local function way_to(self, job)
  return (self.dir .. job.path):sub(job.anchor.skip + 1)
end

---@async
local function open_place(base, name)
  return checked(core.open(base, name, PLACE))
end

---Opens a directory in a job's, which a link may lead to.
---@async
local function open_inside(self, job, name)
  local way = way_to(self, job)
  if not job.linkless or way == "" then
    return checked(core.open(job.anchor.file, way .. name, PLACE))
  elseif core.confines(self.root.file) then
    local path = (self.dir .. job.path .. name):sub(self.root.skip + 1)
    return checked(core.open(self.root.file, path, PLACE))
  end
  local base, message, code = base_of(job)
  local parent, file
  if base then
    parent, message, code = checked(core.open(base, way, PLACE))
  end
  if not parent then
    return nil, message, code
  end
  local ok
  ok, file, message, code = guard(open_place, core.as_base(parent), name)
  close(parent)
  return settle(ok, file, message, code)
end

---Makes a job's directory an anchor.
---@async
---@return true?
---@return string? message
---@return string? code
local function become_anchor(self, job)
  local file, message, code
  if job.name then
    file, message, code = open_inside(self, job.above, job.name)
  else
    local base
    base, message, code = base_of(job)
    if base then
      file, message, code = checked(core.open(base, way_to(self, job), PLACE))
    end
  end
  if not file then
    return nil, message, code
  end
  release(self, job.anchor)
  job.anchor = new_anchor(self, file, #self.dir + #job.path, true)
  job.above, job.name = nil, nil
  return true
end

-- ---- matching -----------------------------------------------------------------------------------

---Adds a path, once it is known to be a directory where it has to.
---@async
local function add(self, job, name, kind)
  local path = job.path .. name
  if not self.only_dirs then
    self.found[path] = true
  elseif kind == "dir" then
    self.found[path .. "/"] = true
  elseif kind ~= "file" then
    local file, message, code = open_inside(self, job, name)
    if file then
      self.found[path .. "/"] = true
      close(file)
    elseif code ~= "EXDEV" then -- a name that was met, and leads out by chance
      fail(self, job, message, code, name)
    end
  end
end

local visit

---Goes on in a directory with what comes behind the part that its name fits.
local function enqueue(self, job, name, kind, states, deep)
  local is_dir = kind == "dir"
  local inner = {
    path = job.path .. name .. "/",
    states = states,
    anchor = job.anchor,
    linkless = deep or job.linkless and is_dir,
    matched = kind ~= nil or job.matched,
  }
  if job.linkless and not is_dir then
    inner.above, inner.name = job, name
  end
  job.anchor.users = job.anchor.users + 1
  self.workers:add(visit, self, inner)
end

---@async
local function look(job, way)
  local base, message, code = base_of(job)
  local kind
  if base then
    kind, message, code = stat.ask(core.lstat, "lstat", way, base, "type")
  end
  return kind, message, code
end

---A name that needs no look into the directory.
---@async
local function look_up(self, job, state)
  local name = self.parts[state].literal
  if state < #self.parts then
    return enqueue(self, job, name, nil, { state + 1 })
  end
  local kind, message, code = look(job, way_to(self, job) .. name)
  if kind then
    add(self, job, name, kind)
  else
    fail(self, job, message, code, name)
  end
end

---@async
local function match_entry(self, job, name, kind, states)
  local parts, next_states, deep = self.parts, nil, false
  for i = 1, #states do
    local state = states[i]
    local part = parts[state]
    if part:matches(name, self.hidden) then
      if state == #parts then
        add(self, job, name, kind)
      elseif not part.deep and kind ~= "file" then
        next_states = next_states or {}
        next_states[#next_states + 1] = state + 1
      end
      if part.deep and kind == "dir" then
        next_states, deep = next_states or {}, true
        next_states[#next_states + 1] = state
      end
    end
  end
  if next_states then
    enqueue(self, job, name, kind, next_states, deep)
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

---Lists an anchor. By the name "." that takes the right to search it, which names alone need not.
---@async
local function list_anchor(self, anchor)
  if anchor == self.root and anchor.own then
    return core.list(self.base, self.root_path, 0, 0)
  end
  local row, count, code = core.list(anchor.file, ".", 0, 0)
  if not row and code == "EACCES" and core.fd(anchor.file) then
    return core.list(("/proc/self/fd/%d"):format(core.fd(anchor.file)), 0, 0)
  end
  return row, count, code
end

---@async
local function list(self, job)
  local path, skip = self.dir .. job.path, job.anchor.skip
  if #path == skip then
    return list_anchor(self, job.anchor)
  end
  local base, message, code = base_of(job)
  if not base then
    return nil, message, code
  end
  return core.list(base, path, skip, 0)
end

---Whether a `**` begins where links may have been followed: below they are not.
local function begins_deep(self, job, states)
  if job.linkless or way_to(self, job) == "" then
    return false
  end
  for _, state in ipairs(states) do
    if self.parts[state].deep then
      return true
    end
  end
  return false
end

---@async
local function match(self, job)
  local states = all_states(self, job.states)
  local ok, message, code = true, nil, nil
  local row, count
  if job.name or #self.dir + #job.path - job.anchor.skip > WAY_MAX then
    ok, message, code = become_anchor(self, job)
  end
  if ok and (job.linkless or needs_listing(self, states)) then
    row, count, code = list(self, job)
    ok, message = row, not row and select(2, refused(count, code)) or nil
  end
  if row and begins_deep(self, job, states) then
    ok, message, code = become_anchor(self, job)
  end
  if not ok then
    fail(self, job, message, code)
    if job.name then
      return -- what the anchor above leads to by this path is another's
    end
    row = nil
  end
  for at = 1, row and 2 * count or 0, 2 do
    match_entry(self, job, row[at], stat.kind(row[at + 1]), states)
  end
  for _, state in ipairs(states) do
    local name = self.parts[state].literal
    if name and (not row and not job.linkless or name == "." or name == "..") then
      look_up(self, job, state)
    end
  end
end

---@async
function visit(self, job)
  match(self, job)
  release(self, job.anchor)
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

---Opens what the search begins in.
---@async
---@return halo.fs.Anchor?
local function open_root(self, root)
  local path = root ~= "" and root or self.dir
  if path == "" then
    return new_anchor(self, self.base, 0, false)
  end
  local file, message, code = checked(core.open(self.base, path, PLACE))
  if not file then
    return nil, message, code
  end
  self.root_path = path
  return new_anchor(self, file, #path, true)
end

---@async
local function search(self, root)
  local message, code
  self.root, message, code = open_root(self, root)
  local job = { path = root, states = { 1 }, linkless = false, matched = false }
  if not self.root then
    return fail(self, job, message, code)
  elseif not self.parts[1] then
    self.found[root] = true -- slashes alone
    return
  end
  job.anchor = self.root
  workers.run(self.workers, visit, self, job)
end

---Takes the directories off that a pattern begins with by name: in a fence "/", where it begins
---otherwise, may not be opened.
---@return string
local function take_names(parts)
  local root = "/"
  while parts[2] and parts[1].literal do
    root = root .. table.remove(parts, 1).literal .. "/"
  end
  return root
end

---@async
local function expand(self, text)
  self.parts, self.only_dirs = parse(text), text:sub(-1) == "/"
  local root = text:match "^/" or ""
  if root ~= "" then
    self.dir = ""
    root = core.confines(core.AT_FDCWD) and take_names(self.parts) or root
  end
  if self.parts[1] or root ~= "" then
    local ok, failure = guard(search, self, root)
    for anchor in pairs(self.anchors) do
      close_anchor(self, anchor)
    end
    settle(ok, failure)
  end
end

---@class halo.GlobOptions
---@field dir string? where relative patterns begin, and the paths found
---@field hidden boolean? a name that begins with a dot fits as any other

---@async
function by_path.glob(base, text, options)
  check.path(text, 1, "glob")
  options = check.options(options, 2, "glob", { dir = "any", hidden = true })
  local dir = options.dir == nil and "" or paths.prefix(check.path(options.dir, 2, "glob"))
  local alternatives, found, all = braces.expand(text), {}, {}
  for _, alternative in ipairs(alternatives) do
    parse(alternative) -- what is broken raises before anything is looked at
  end
  for _, alternative in ipairs(alternatives) do
    local self = {
      base = base, found = found, dir = dir, workers = workers.new(), hidden = options.hidden,
      anchors = {},
    }
    expand(self, alternative)
    if self.failure then
      return nil, self.failure[1], self.failure[2]
    end
  end
  for path in pairs(found) do
    all[#all + 1] = path
  end
  table.sort(all)
  return all
end

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
function fs.glob(text, options, ...)
  check.no_more(3, "glob", ...)
  return by_path.glob(core.AT_FDCWD, text, options)
end

return fs
