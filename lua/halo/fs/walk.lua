-- Walking a tree. The walk itself is a stack of directories that are being gone through. Each is
-- listed by one operation, which starts at the root. Where the disk is slow, tasks list those that
-- come next ahead of it: all directories that are known and not entered yet are in a row, in the
-- order of the walk.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local scope = require "halo.scope"
local fast = require "halo.fs.fast"
local iterator = require "halo.fs.iterator"
local stat = require "halo.fs.stat"
local turns = require "halo.fs.turns"
local wait = require "halo.wait"
local has_ffi, ffi = pcall(require, "ffi")
local check_self, is_cancelled = scope.check_self, scope.is_cancelled

local refused = wait.refused
local now = fast.now
local kind, of_mode = stat.kind, stat.of_mode

local LISTABLE = core.flags.RDONLY + core.flags.DIRECTORY
local DIR_MODE = core.file_types.dir
local list_flags = core.list_flags

local SLASH = ("/"):byte()
local AHEAD_MAX = 64 -- directories read, or being read, before their turn
local AHEAD_TURNS = 256 -- directories until it is looked again whether reading is slow
local QUICK_S = 0.00003 -- for a directory that is in memory
local QUICK_ENTRY_S = 0.000003 -- and for each of its entries, with a stat
local LAG_COUNTED_S = 0.0001 -- beyond that, at most, for one directory
local LAG_KEPT = 0.8 -- of the sum, at the next directory
local LAG_MAX_S = 0.0002 -- the sum that says that the disk is waited for

---@class halo.fs
local fs = {}

---@class halo.WalkEntry with the fields of a stat that the options ask for, such as blocks
---@field name string the end of the path; it is made when it is asked for, which pairs() does not
---@field type "file"|"dir"|"symlink"|"fifo"|"socket"|"char"|"block"|"unknown"
---@field path string the root and the names that lead from there
---@field depth integer 1 in the root
---@field stat halo.Stat? with the option as true; nil where it is refused

---@class halo.WalkOptions
---@field depth integer? how deep it goes; 1 stays in the root
---@field prune (fun(path: string, entry: halo.WalkEntry): any)? true for a directory not to enter;
---it may be asked early, and by another task
---@field filter (fun(path: string, entry: halo.WalkEntry): any)? true for what is wanted
---@field follow boolean? enter directories through symbolic links too
---@field order boolean? by name in each directory
---@field stat string|string[]|boolean? the fields of fs.lstat, or of fs.stat with follow, that each
---entry is to have, nil where they are refused; with true all of them, as entry.stat
---@field on_error (fun(path: string, message: string, code: string))? goes on without a directory

---@class halo.fs.WalkNode a directory
---@field parent halo.fs.WalkNode|false
---@field entry halo.WalkEntry in the parent
---@field state "kept out"|"waiting"|"entered" whether the walk will enter it, or has
---@field after halo.fs.WalkNode|false the one that will be entered next, as far as is known
---@field task halo.Task|false that reads it ahead
---@field row table|false what is in it, as the core gives it: some values for each entry, of which
---the second is the type, or the node of a directory; whole stats are at 0
---@field count integer of entries; -1 until it has been read
---@field at integer the latest entry that was taken
---@field id string? what tells it from others, with follow

---@class halo.fs.Walk: halo.fs.Turns
---@field options halo.WalkOptions
---@field depth integer
---@field flags integer what is to be read of a directory
---@field no_symlinks integer of them: no link on the way from the root
---@field whole true? each entry gets a stat
---@field fields string[]? or these fields of one
---@field places string? the same for the core
---@field width integer values in a row for each entry
---@field base halo.File|integer where the root's path begins
---@field root string its path
---@field file halo.File? the root, while it is open
---@field from halo.File? what all is opened from: the root, or a Dir, which confines links
---@field skip integer bytes of a path that lead to it
---@field node halo.fs.WalkNode|false the directory that the walk is in
---@field first halo.fs.WalkNode|false the directory that will be entered next
---@field here halo.fs.WalkNode|false the same where it was the last entry
---@field closed boolean
---@field ahead integer directories to enter until it is looked whether reading ahead pays
---@field lag number seconds by which the latest directories took longer than from memory
local Walk = {}
Walk.__index = Walk

-- ---- entries ---------------------------------------------------------------------------------

---Where the name begins. LuaJIT compiles no search from the end.
local function last_slash(path)
  return #path:match "^.*/"
end

if has_ffi then
  ffi.cdef "const void *memrchr(const void *, int, size_t);"
  local Bytes = ffi.typeof "const char *"

  function last_slash(path)
    return ffi.cast(Bytes, ffi.C.memrchr(path, SLASH, #path)) - ffi.cast(Bytes, path) + 1
  end
end

local Entry = {}

function Entry.__index(self, key)
  return key == "name" and self.path:sub(last_slash(self.path) + 1) or nil
end

---What an entry is told of its stat where that is more than one number.
local function add_fields(self, entry, row, at)
  local fields = self.fields
  for i = 1, #fields do
    local field, value = fields[i], row[at + 2 + i]
    if value ~= nil and of_mode[field] then
      value = of_mode[field](value)
    end
    entry[field] = value
  end
end

---An entry is made when its turn comes: most of them are forgotten soon after. LuaJIT takes as long
---for the memory as for all else: the name is made when it is asked for, and a fifth field would
---double the table.
---@return halo.WalkEntry
local function new_entry(self, node, i)
  local row, at, depth = node.row, (i - 1) * self.width, node.entry.depth + 1
  local path, type_now = row[at + 1], kind(row[at + 2])
  if self.whole then
    return setmetatable({
      type = type_now,
      path = path,
      depth = depth,
      stat = stat.at(row[0], i - 1),
    }, Entry)
  end
  local entry = setmetatable({ type = type_now, path = path, depth = depth }, Entry)
  if self.fields then
    add_fields(self, entry, row, at)
  end
  return entry
end

---A directory's node has all its fields from the start: to add one takes longer.
local function new_node(parent, entry, enter)
  return {
    parent = parent,
    entry = entry,
    state = enter and "waiting" or "kept out",
    after = false,
    task = false,
    row = false,
    count = -1,
    at = 0,
  }
end

-- ---- reading a directory ---------------------------------------------------------------------

---Whether a directory is one of those it lies in.
local function is_loop(node, id)
  node.id = id
  local above = node.parent
  while above and above.id ~= id do
    above = above.parent
  end
  return above and true
end

---Puts the directories in a directory behind it, in their order.
local function enqueue_dirs(self, node)
  local row, width, prune = node.row, self.width, self.options.prune
  local last = node
  for i = 1, node.count do
    local at = (i - 1) * width + 2
    if row[at] == DIR_MODE then
      local entry = new_entry(self, node, i)
      local enter = not (prune and prune(entry.path, entry))
      local inner = new_node(node, entry, enter)
      row[at] = inner
      if enter then
        inner.after, last.after = last.after, inner
        last = inner
      end
    end
  end
end

---Lists the root by its path, and what is below it by the way from there. To list an open directory
---would be by the name ".", which takes the right to search it.
---@async
local function list(self, node)
  if node.parent then
    return core.list(self.from, node.entry.path, self.skip, self.flags, self.places)
  end
  if self.from == nil then
    local file, message, code = core.open(self.base, self.root, LISTABLE)
    if not file then
      return nil, message, code
    end
    self.file = core.as_base(file)
    self.from = self.file
  end
  return core.list(self.base, self.root, 0, self.flags - self.no_symlinks, self.places)
end

---Reads a directory and finds out what of it will be entered.
---@async
---@return true?
---@return any message
---@return string? code
local function read(self, node)
  if self.closed then
    return true -- with nothing in it: the walk is over
  end
  local row, count, id = list(self, node)
  if node.count >= 0 or self.closed then
    return true -- the walk could not wait for this task, and was faster
  elseif not row then
    return refused(count, id) -- they are the message and the code
  elseif id and is_loop(node, id) then
    count = 0
  end
  node.row, node.count = row, count
  if node.entry.depth + 1 < self.depth then
    enqueue_dirs(self, node)
  end
  return true
end

-- ---- reading ahead ---------------------------------------------------------------------------

local read_ahead

---@async
local function read_then_ahead(self, node)
  local ok, message, code = read(self, node)
  read_ahead(self)
  return ok, message, code
end

---Starts reading the directories that come next, as far as they are known.
function read_ahead(self)
  local node = self.first
  for _ = 1, self.ahead > 0 and AHEAD_MAX or 0 do
    if not node then
      return
    end
    if not node.task and node.state == "waiting" then
      node.task = core.spawn_helper(read_then_ahead, self, node)
    end
    node = node.after
  end
end

---Reads a directory in its turn, and finds out whether the next ones should be read ahead: where
---the latest ones took long. A single one may have other causes than the disk.
---@async
local function read_now(self, node)
  local start = now()
  local ok, message, code = read(self, node)
  local lag = math.max(now() - start - QUICK_S - QUICK_ENTRY_S * node.count, 0)
  self.lag = self.lag * LAG_KEPT + math.min(lag, LAG_COUNTED_S)
  if self.lag > LAG_MAX_S then
    self.lag = 0
    self.ahead = core.can_wait() and AHEAD_TURNS or 0
  end
  return ok, message, code
end

-- ---- going through it ------------------------------------------------------------------------

local function is_over(task)
  local state = core.status(task)
  return state == "ended" or state == "failed" or state == "cancelled"
end

local function lacks_descriptors(code)
  return code == "EMFILE" or code == "ENFILE"
end

---Waits for what is being read ahead, and has descriptors that the directory in turn needs.
---@async
---@return boolean # whether there was any
local function await_one_ahead(self)
  local node = core.can_wait() and self.first
  while node do
    if node.task and node.state == "waiting" and not is_over(node.task) then
      local joined, failure = core.join(node.task)
      if joined == nil then
        error(failure, 0) -- this task was cancelled
      end
      return true
    end
    node = node.after
  end
  return false
end

---Reads a directory in its turn, while there are descriptors.
---@async
local function read_patiently(self, node)
  local ok, message, code
  repeat
    ok, message, code = read_now(self, node)
  until ok or not lacks_descriptors(code) or not await_one_ahead(self)
  return ok, message, code
end

---Reads the directory whose turn it is, unless that has been done ahead.
---@async
local function read_in_turn(self, node)
  local ok, message, code
  self.ahead = math.max(self.ahead - 1, 0)
  node.state = "entered"
  local helper, joined = node.task, false
  if helper and (is_over(helper) or core.can_wait()) then
    joined, ok, message, code = core.join(helper)
    node.task = false
    if not joined and (joined == nil or core.status(helper) ~= "cancelled") then
      error(ok, 0) -- this task was cancelled, or prune has failed
    end
    node.count = joined and node.count or -1 -- it may have got halfway before a cancellation
  end
  if not joined or lacks_descriptors(code) then
    ok, message, code = read_patiently(self, node)
  end
  self.first, node.after = node.after, false -- which would keep all that comes next in memory
  read_ahead(self)
  return ok, message, code
end

---A directory that is gone, or by now something else, is none of the walk's business.
local function fail(self, node, message, code)
  local gone = code == "ENOENT" or code == "ENOTDIR" or code == "ELOOP"
  if node.parent and gone then
    return
  elseif self.options.on_error then
    self.options.on_error(node.parent and node.entry.path or self.root, message, code)
  else
    pcall(self.close, self) -- it raises in a task that was cancelled, once it has closed
    core.raise(message)
  end
end

---Enters the directory that was the last entry.
---@async
local function descend(self, node)
  self.here = false
  local went, ok, message, code = wait.guard(read_in_turn, self, node)
  if not went then
    if is_cancelled(ok) and not self.closed then -- the directory is left to those that share this
      self.here, node.state, node.count = node, "waiting", -1
    end
    error(ok, 0)
  elseif self.closed then
    return
  elseif ok then
    self.node = node
  else
    fail(self, node, message, code)
  end
end

---In a task that was cancelled the close is carried out, and raises all the same.
local function close_root(self)
  local file = self.file
  self.closed = true
  if file then
    self.file = nil
    pcall(core.close, file)
  end
end

---Finds the directory with the next entry, where that is not simply the next one.
---@async
---@return halo.fs.WalkNode?
local function advance(self)
  if self.busy then
    turns.await(self)
  end
  if self.here then
    local ok, err = turns.alone(self, descend, self, self.here)
    if not ok then
      error(err, 0)
    end
  end
  local node = self.node
  while node and node.at == node.count do
    node.row = false
    node = node.parent
  end
  self.node = node
  if not node then
    close_root(self)
  end
  return node
end

---@async
---@return string? path
---@return halo.WalkEntry? entry
local function step(self)
  local node = self.node
  if self.busy or self.here or not node or node.at == node.count then
    node = advance(self)
    if not node then
      return nil
    end
  end
  local at = node.at + 1
  local inner = node.row[(at - 1) * self.width + 2]
  node.at = at
  if type(inner) == "number" then
    local entry = new_entry(self, node, at)
    return entry.path, entry
  end
  self.here = inner.state == "waiting" and inner
  return inner.entry.path, inner.entry
end

---The same for those entries that the option filter wants.
---@async
local function filtered_step(self)
  local filter = self.options.filter
  local path, entry
  repeat
    path, entry = step(self)
  until not path or filter(path, entry)
  return path, entry
end

---Waits for what is being read ahead, which may be cancelled with the task that it is read for.
---@async
local function await_helper(helper)
  local joined, failure = core.join(helper)
  if joined == nil or not joined and core.status(helper) ~= "cancelled" then
    error(failure, 0)
  end
end

---Ends the walk before its end, as a loop that is left does only once it is collected.
---@async
---@return true
function Walk:close()
  check_self(self, Walk, "close", "Walk")
  local node = self.first
  self.first, self.here, self.node, self.closed = false, false, false, true
  local ok, failure = true, nil
  while node do
    if node.task then
      local joined, raised = pcall(await_helper, node.task)
      ok, failure = ok and joined, failure or not joined and raised or nil
    end
    node = node.after
  end
  close_root(self)
  if not ok then
    error(failure, 0)
  end
  return true
end

local iterate = iterator(function(self, next_entry)
  return function()
    return next_entry(self)
  end
end)

local known_options = {
  depth = "any", prune = "any", filter = "any", follow = true, order = true, stat = "any",
  on_error = "any",
}

---@return string[]? fields that are wanted of each stat
local function check_fields(wanted)
  local fields = {}
  if not wanted or wanted == true then
    return nil
  elseif type(wanted) ~= "string" and type(wanted) ~= "table" then
    check.type_error("stat: true, a field or a list of fields", wanted, 2, "walk")
  end
  for key, field in pairs(type(wanted) == "table" and wanted or { wanted }) do
    if type(key) ~= "number" then
      check.fail(("stat: a list of fields expected, got %s ="):format(tostring(key)), 2, "walk")
    elseif not stat.is_field(field) then
      check.fail(("stat: no field '%s'"):format(tostring(field)), 2, "walk")
    elseif field ~= "type" then -- which an entry has
      fields[#fields + 1] = field
    end
  end
  return fields[1] and fields
end

local function check_options(options)
  options = check.options(options, 2, "walk", known_options)
  for _, name in ipairs { "prune", "filter", "on_error" } do
    if options[name] ~= nil and type(options[name]) ~= "function" then
      check.type_error(name .. ": function", options[name], 2, "walk")
    end
  end
  local depth = options.depth
  if depth ~= nil and (type(depth) ~= "number" or depth < 1 or depth ~= depth) then
    check.fail("depth: a number of at least 1 expected", 2, "walk")
  end
  return options, check_fields(options.stat)
end

function by_path.walk(base, root, options)
  check.path(root, 1, "walk")
  local fields
  options, fields = check_options(options)
  local whole = options.stat == true or nil
  local no_symlinks = options.follow and 0 or list_flags.no_symlinks
  local follows_in_dir = options.follow and base ~= core.AT_FDCWD
  local before = root:match "^(.*)/$" or root
  local first = new_node(false, { path = before, depth = 0 }, true)
  local self = setmetatable({
    options = options,
    depth = options.depth or math.huge,
    flags = no_symlinks + check.bits({
      stat = fields or whole,
      follow = options.follow,
      order = options.order,
      paths = true,
    }, list_flags),
    no_symlinks = no_symlinks,
    fields = fields,
    places = fields and stat.places_of(fields),
    width = 2 + #(fields or {}),
    whole = whole,
    base = base,
    root = root,
    from = follows_in_dir and base or nil,
    skip = follows_in_dir and 0 or #before + 1,
    node = false,
    first = first,
    here = first,
    closed = false,
    busy = false,
    ahead = 0,
    lag = 0,
  }, Walk)
  local next_entry = options.filter and filtered_step or step
  return iterate(self, next_entry), self
end

---All that is in a directory and in those below it: each directory, then what is in it.
---
---    for path, entry in fs.walk(root, { order = true }) do
---
---An entry's type comes from its directory, without a stat, unless the options ask for one. The
---root may be a symbolic link; below it none is followed, not even one that takes a directory's
---place meanwhile, unless the options say so; then a type is that of what a link leads to, and a
---directory is not entered again inside of itself. What vanishes during the walk is left out. A
---directory that cannot be read raises, unless there is an on_error.
---@async
---@param root string
---@param options halo.WalkOptions?
---@return fun(): string?, halo.WalkEntry? # a path and what is there
---@return halo.fs.Walk # whose close() ends the walk early
function fs.walk(root, options, ...)
  check.no_more(3, "walk", ...)
  return by_path.walk(core.AT_FDCWD, root, options)
end

return fs
