-- Walking a tree. The walk itself is a stack of listings, each of a directory that is being gone
-- through. Where the disk is slow, tasks read the directories that come next ahead of it. For them
-- all directories that are known and not entered yet are in a row, in the order of the walk.

local core = require "halo.core"
local check = require "halo.fs.check"
local descent = require "halo.fs.descent"
local refusal = require "halo.fs.refusal"
local status = require "halo.fs.status"
local wait = require "halo.wait"

local refused, settle = wait.refused, wait.settle

local AHEAD_MAX = 32 -- directories read, or being read, before their turn
local AHEAD_TURNS = 256 -- directories until it is looked again whether reading is slow
local QUICK_S = 0.00003 -- for a directory that is in memory
local QUICK_ENTRY_S = 0.000001 -- and for each of its entries
local LAG_COUNTED_S = 0.0001 -- beyond that, at most, for one directory
local LAG_KEPT = 0.8 -- of the sum, at the next directory
local LAG_MAX_S = 0.0002 -- the sum that says that the disk is waited for

local fs = {}

---@class halo.WalkEntry
---@field name string
---@field type "file"|"dir"|"symlink"|"fifo"|"socket"|"char"|"block"|"unknown"
---@field path string the root and the names that lead from there
---@field depth integer 1 in the root

---@class halo.WalkOptions
---@field depth integer? how deep it goes; 1 stays in the root
---@field prune (fun(path: string, entry: halo.WalkEntry): any)? true for a directory not to enter;
---it may be asked early, and by another task
---@field filter (fun(path: string, entry: halo.WalkEntry): any)? true for what is wanted
---@field follow boolean? enter directories through symbolic links too
---@field order boolean? by name in each directory
---@field on_error (fun(path: string, message: string, code: string))? goes on without a directory

---@class halo.fs.WalkNode : halo.fs.Node a directory that the walk will enter
---@field path string
---@field depth integer
---@field after halo.fs.WalkNode? the one that will be entered next, as far as is known
---@field task halo.Task? that reads it ahead
---@field entered boolean? its turn has come

---@class halo.fs.Walk
---@field options halo.WalkOptions
---@field depth integer
---@field descent halo.fs.Descent
---@field listings table[] from the root to where the walk is
---@field first halo.fs.WalkNode? the directory that will be entered next
---@field here halo.fs.WalkNode|false the same where it was the last entry
---@field ahead integer directories to enter until it is looked whether reading ahead pays
---@field lag number seconds by which the latest directories took longer than from memory
local Walk = {}
Walk.__index = Walk

-- ---- reading a directory ---------------------------------------------------------------------

---What a symbolic link leads to. One that leads nowhere is just a symbolic link.
---@async
local function type_behind(file, entry)
  local size, mode, code = core.stat(file, entry.name)
  if not size then
    refused(mode, code) -- raises where it is no refusal
    return entry.type
  end
  return status.kind(mode)
end

---Whether a directory is one of those it lies in.
---@async
local function is_loop(node, file)
  local size, message, code, _, _, ino, dev = core.fstat(file)
  if not size then
    return refused(message, code) -- a directory that cannot be told from others is just read
  end
  node.ino, node.dev = ino, dev
  local above = node.parent
  while above and (above.ino ~= ino or above.dev ~= dev) do
    above = above.parent
  end
  return above ~= nil
end

---@async
local function read_open(self, node, file)
  local follow = self.options.follow
  if follow and is_loop(node, file) then
    return {}
  end
  local entries, message, code = descent.entries(file)
  for i = 1, follow and entries and #entries or 0 do
    if entries[i].type == "symlink" then
      entries[i].type = type_behind(file, entries[i])
    end
  end
  return entries, message, code
end

local function by_name(a, b)
  return a.name < b.name
end

---Completes an entry, and makes a node of one that will be entered.
local function admit(self, node, prefix, entry)
  local prune = self.options.prune
  entry.path, entry.depth = prefix .. entry.name, node.depth + 1
  if entry.type ~= "dir" or entry.depth >= self.depth or prune and prune(entry.path, entry) then
    return false
  end
  return { parent = node, name = entry.name, path = entry.path, depth = entry.depth, users = 0 }
end

---Puts the directories in a directory behind it, in their order.
local function line_up(node, nodes)
  local last = node
  for i = 1, #nodes do
    local inner = nodes[i]
    if inner then
      inner.after, last.after = last.after, inner
      last = inner
    end
  end
  return last ~= node
end

---Reads a directory and finds out what of it will be entered.
---@async
---@return table? listing
---@return any message
---@return string? code
local function read(self, node)
  local file, message, code = self.descent:take(node)
  if not file then
    return nil, message, code
  end
  local entries
  entries, message, code = read_open(self, node, file)
  self.descent:leave(node)
  if not entries then
    return nil, message, code
  elseif self.options.order then
    table.sort(entries, by_name)
  end
  local nodes, prefix = {}, node.path:match "/$" and node.path or node.path .. "/"
  for i = 1, #entries do
    nodes[i] = admit(self, node, prefix, entries[i])
  end
  if not line_up(node, nodes) then
    self.descent:close(node)
  end
  return { node = node, entries = entries, nodes = nodes, at = 0 }
end

-- ---- reading ahead ---------------------------------------------------------------------------

local read_ahead

---@async
local function read_then_ahead(self, node)
  local listing, message, code = read(self, node)
  read_ahead(self)
  return listing, message, code
end

---Starts reading the directories that come next, as far as they are known.
function read_ahead(self)
  local node = self.first
  for _ = 1, self.ahead > 0 and AHEAD_MAX or 0 do
    if not node then
      return
    end
    if not node.task and not node.entered then
      node.task = core.spawn(read_then_ahead, self, node)
    end
    node = node.after
  end
end

---Reads a directory in its turn, and finds out whether the next ones should be read ahead: where
---the latest ones took long. A single one may have other causes than the disk.
---@async
local function read_now(self, node)
  local start = core.now()
  local listing, message, code = read(self, node)
  local expected = QUICK_S + QUICK_ENTRY_S * (listing and #listing.entries or 0)
  local lag = math.max(core.now() - start - expected, 0)
  self.lag = self.lag * LAG_KEPT + math.min(lag, LAG_COUNTED_S)
  if self.lag > LAG_MAX_S then
    self.lag = 0
    self.ahead = pcall(core.group) and AHEAD_TURNS or 0 -- where there are tasks to wait for
  end
  return listing, message, code
end

-- ---- going through it ------------------------------------------------------------------------

---The listing of the directory whose turn it is.
---@async
local function listing_of(self, node)
  local listing, message, code
  self.ahead = math.max(self.ahead - 1, 0)
  node.entered = true
  if node.task then
    listing, message, code = settle(core.join(node.task))
    node.task = nil
  else
    listing, message, code = read_now(self, node)
  end
  self.first = node.after
  read_ahead(self)
  return listing, message, code
end

---A directory that is gone, or by now something else, is none of the walk's business.
local function fail(self, node, message, code)
  message = refusal.about(message, node.name, node.path)
  if node.parent and (code == "ENOENT" or code == "ENOTDIR") then
    return
  elseif self.options.on_error then
    self.options.on_error(node.path, message, code)
  else
    core.raise(message)
  end
end

---Enters the directory that was the last entry, if it was one.
---@async
local function descend(self)
  local node = self.here
  if node then
    self.here = false
    local listing, message, code = listing_of(self, node)
    if listing then
      table.insert(self.listings, listing)
    else
      fail(self, node, message, code)
    end
  end
end

---@async
---@return string? path
---@return halo.WalkEntry? entry
local function step(self)
  local filter = self.options.filter
  while true do
    descend(self)
    local listing = self.listings[#self.listings]
    if not listing then
      self.descent:close_all()
      return nil
    end
    local at = listing.at + 1
    local entry = listing.entries[at]
    if not entry then
      self.listings[#self.listings] = nil
      self.descent:close(listing.node)
    else
      listing.at, self.here = at, listing.nodes[at]
      if not filter or filter(entry.path, entry) then
        return entry.path, entry
      end
    end
  end
end

---Ends the walk before its end, as a loop that is left does only once it is collected.
---@async
function Walk:close()
  local node = self.first
  self.first, self.here, self.listings = nil, false, {}
  while node do
    if node.task then
      settle(core.join(node.task))
    end
    node = node.after
  end
  self.descent:close_all()
end

local function check_options(options)
  options = check.options(options, 2, "walk")
  for _, name in ipairs { "prune", "filter", "on_error" } do
    if options[name] ~= nil and type(options[name]) ~= "function" then
      check.type_error(name .. ": function", options[name], 2, "walk")
    end
  end
  local depth = options.depth
  if depth ~= nil and (type(depth) ~= "number" or depth < 1 or depth ~= depth) then
    check.fail("depth: a number of at least 1 expected", 2, "walk")
  end
  return options
end

---All that is in a directory and in those below it: each directory, then what is in it.
---
---    for path, entry in fs.walk(root, { order = true }) do
---
---An entry's type comes from its directory, without a stat. The root may be a symbolic link; below
---it none is followed, not even one that takes a directory's place meanwhile, unless the options
---say so; then a type is that of what a link leads to, and a directory is not entered again inside
---of itself. What vanishes during the walk is left out. A directory that cannot be read raises,
---unless there is an on_error.
---@async
---@param root string
---@param options halo.WalkOptions?
---@return fun(): string?, halo.WalkEntry? # a path and what is there
---@return halo.fs.Walk # whose close() ends the walk early
function fs.walk(root, options)
  check.path(root, 1, "walk")
  options = check_options(options)
  local node = { name = root, path = root, depth = 0, users = 0 }
  local self = setmetatable({
    options = options,
    depth = options.depth or math.huge,
    descent = descent.new(options.follow),
    listings = {},
    first = node,
    here = node,
    ahead = 0,
    lag = 0,
  }, Walk)
  return function()
    return step(self)
  end, self
end

return fs
