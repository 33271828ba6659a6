-- Walking a tree. The walk itself is a stack of listings, each of a directory that is being gone
-- through. Where the disk is slow, tasks read the directories that come next ahead of it.

local core = require "halo.core"
local check = require "halo.fs.check"
local descent = require "halo.fs.descent"
local refusal = require "halo.fs.refusal"
local status = require "halo.fs.status"
local wait = require "halo.wait"

local refused, settle = wait.refused, wait.settle

local AHEAD_MAX = 32 -- directories read, or being read, before their turn
local AHEAD_TURNS = 256 -- directories until it is looked again whether reading is slow
local SLOW_S = 0.0001 -- for a directory whose names are in memory
local SLOW_ENTRY_S = 0.000002 -- and for each of its entries
local SLOW_MANY = 2 -- in succession; a single one may have other causes

local fs = {}

---@class halo.WalkEntry
---@field name string
---@field type "file"|"dir"|"symlink"|"fifo"|"socket"|"char"|"block"|"unknown"
---@field path string the root and the names that lead from there
---@field depth integer 1 in the root

---@class halo.WalkOptions
---@field depth integer? how deep it goes; 1 stays in the root
---@field prune (fun(path: string, entry: halo.WalkEntry): any)? true for a directory not to enter
---@field filter (fun(path: string, entry: halo.WalkEntry): any)? true for what is wanted
---@field follow boolean? enter directories through symbolic links too
---@field order boolean? by name in each directory
---@field on_error (fun(path: string, message: string, code: string))? goes on without a directory

---@class halo.fs.Walk
---@field options halo.WalkOptions
---@field depth integer
---@field descent halo.fs.Descent
---@field listings table[] from the root to where the walk is
---@field next halo.fs.Node|false the directory whose entries come next
---@field coming halo.fs.Node[] the directories that will be entered, the next one last
---@field ahead integer read before their turn
---@field ahead_turns integer directories to enter until it is looked whether that pays
---@field slow integer directories read slowly in succession
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

---@async
local function read(self, node)
  local file, message, code = self.descent:take(node)
  if not file then
    return nil, message, code
  end
  local entries
  entries, message, code = read_open(self, node, file)
  self.descent:leave(node)
  return entries, message, code
end

-- ---- reading ahead ---------------------------------------------------------------------------

---Starts reading directories that come next.
local function read_ahead(self)
  local coming = self.coming
  while self.ahead < AHEAD_MAX and #coming > 0 do
    local node = table.remove(coming)
    if not node.entered then
      node.task = core.spawn(read, self, node)
      self.ahead = self.ahead + 1
    end
  end
end

---Reads a directory in its turn, and finds out whether the next ones should be read ahead.
---@async
local function read_now(self, node)
  local start = core.now()
  local entries, message, code = read(self, node)
  local expected = SLOW_S + SLOW_ENTRY_S * (entries and #entries or 0)
  self.slow = core.now() - start > expected and self.slow + 1 or 0
  if self.slow == SLOW_MANY then
    self.slow = 0
    self.ahead_turns = pcall(core.group) and AHEAD_TURNS or 0 -- where there are tasks to wait for
  end
  return entries, message, code
end

---The entries of the directory whose turn it is.
---@async
local function entries_of(self, node)
  local task, coming = node.task, self.coming
  node.entered, node.task = true, nil
  if self.ahead_turns > 0 then
    self.ahead_turns = self.ahead_turns - 1
  end
  if task then
    self.ahead = self.ahead - 1
    return settle(core.join(task))
  end
  while coming[1] and coming[#coming].entered do
    coming[#coming] = nil
  end
  return read_now(self, node)
end

-- ---- going through it ------------------------------------------------------------------------

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

---Goes on with the entries of a directory.
---@async
local function enter(self, node, entries)
  local nodes, coming, entered = {}, self.coming, false
  local prefix = node.path:match "/$" and node.path or node.path .. "/"
  if self.options.order then
    table.sort(entries, by_name)
  end
  for i = 1, #entries do
    nodes[i] = admit(self, node, prefix, entries[i])
  end
  for i = #entries, 1, -1 do
    if nodes[i] then
      coming[#coming + 1] = nodes[i]
      entered = true
    end
  end
  if not entered then
    self.descent:close(node)
  end
  table.insert(self.listings, { node = node, entries = entries, nodes = nodes, at = 0 })
  if self.ahead_turns > 0 then
    read_ahead(self)
  end
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
  local node = self.next
  if node then
    self.next = false
    local entries, message, code = entries_of(self, node)
    if entries then
      enter(self, node, entries)
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
      listing.at, self.next = at, listing.nodes[at]
      if not filter or filter(entry.path, entry) then
        return entry.path, entry
      end
    end
  end
end

---Ends the walk before its end, as a loop that is left does only once it is collected.
---@async
function Walk:close()
  for _, listing in ipairs(self.listings) do
    for i = listing.at + 1, #listing.nodes do
      local task = listing.nodes[i] and listing.nodes[i].task
      if task then
        settle(core.join(task))
      end
    end
  end
  self.next, self.listings, self.coming = false, {}, {}
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
  local self = setmetatable({
    options = options,
    depth = options.depth or math.huge,
    descent = descent.new(options.follow),
    listings = {},
    next = { name = root, path = root, depth = 0, users = 0 },
    coming = {},
    ahead = 0,
    ahead_turns = 0,
    slow = 0,
  }, Walk)
  return function()
    return step(self)
  end, self
end

return fs
