//! The probe set: loaded once a host, pinned, found again by every hook.

use super::{
    TraceError,
    load::load,
    names::{self, Rank},
    slots::{DEPTHS, HostFacts, READY, SLOTS, SPENT, SlotId, SlotTable, TAKEN, VACANT},
};
use libbpf_rs::{
    Link, MapCore as _, MapFlags, MapHandle, MapType, libbpf_sys::bpf_map_create_opts,
};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    mount::{MsFlags, mount},
    sys::{stat::Mode, statfs},
    time::{ClockId, clock_gettime},
};
use std::{
    collections::HashSet,
    fs::File,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

/// Where a scope lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeKey {
    /// Inode number of the cgroup's directory.
    pub cgroup: u64,
    /// Its depth below the root of the cgroup v2 tree; the root's children have 1.
    pub depth: u32,
    /// Inode number of the pid namespace, where the container has its own.
    pub pid_namespace: Option<u32>,
    /// Whose it is: several configurations can share one probe set.
    pub owner: u32,
}

/// How a probe set is set up, from the configuration.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// Where the BPF file system is, or is to be mounted.
    pub bpffs: &'a Path,
    /// Base names with their ranks; asked for only when the probe set is loaded.
    pub names: &'a dyn Fn() -> Vec<(String, Rank)>,
    /// Of the ring that is made with it, for the scope that it is loaded for.
    pub ring_bytes: u32,
}

/// The pinned programs and maps.
#[derive(Debug)]
pub struct ProbeSet {
    dir: PathBuf,
    pub(super) slots: SlotTable,
    pub(super) host: HostFacts,
}

/// The directory that this binary's probe set is pinned in.
pub fn pin_directory(bpffs: &Path) -> PathBuf {
    bpffs.join("buildwarden").join(env!("BUILDWARDEN_ABI"))
}

impl ProbeSet {
    /// Opens the pinned probe set; `None` when it is not loaded.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn open(bpffs: &Path) -> Result<Option<ProbeSet>, TraceError> {
        ProbeSet::open_with(bpffs, |slots| SlotTable::all(slots))
    }

    /// The same for who only registers a scope, and is in a hurry: with one page of slots, the
    /// first, whose rings are made ahead first of all. The others follow where they are needed.
    ///
    /// # Errors
    /// As [`ProbeSet::open`].
    pub fn open_to_register(bpffs: &Path) -> Result<Option<ProbeSet>, TraceError> {
        ProbeSet::open_with(bpffs, |slots| SlotTable::first(slots))
    }

    fn open_with(
        bpffs: &Path,
        map: fn(BorrowedFd<'_>) -> nix::Result<SlotTable>,
    ) -> Result<Option<ProbeSet>, TraceError> {
        let dir = pin_directory(bpffs);
        let slots = dir.join("slots");
        let slots = match MapHandle::from_pinned_path(&slots) {
            Err(error) if error.kind() == libbpf_rs::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|e| TraceError::bpf(format!("open {slots:?}"), e))?,
        };
        let slots = map(slots.as_fd()).map_err(|e| TraceError::bpf("map slots", e))?;
        let host = open_map(&dir, "host")?;
        let host = HostFacts::new(host.as_fd()).map_err(|e| TraceError::bpf("map host", e))?;
        Ok(Some(ProbeSet { dir, slots, host }))
    }

    /// Opens the probe set, loading and pinning it first where it is not there:
    /// once a host, whoever comes first.
    ///
    /// # Errors
    /// When the kernel refuses, or a directory cannot be made.
    pub fn open_or_load(setup: &Setup<'_>) -> Result<ProbeSet, TraceError> {
        if let Some(open) = ProbeSet::open(setup.bpffs)? {
            return Ok(open);
        }
        mount_bpffs(setup.bpffs)?;
        let _lock = lock(setup.bpffs)?;
        // Somebody may have been faster.
        if let Some(open) = ProbeSet::open(setup.bpffs)? {
            return Ok(open);
        }
        load(setup)?;
        ProbeSet::open(setup.bpffs)?.ok_or_else(|| TraceError::Bpf {
            what: format!("open {}", pin_directory(setup.bpffs).display()),
            reason: "it is gone right after it was pinned".to_owned(),
        })
    }

    /// Starts to record a scope. From here the kernel writes every exec in it to
    /// the slot's ring.
    ///
    /// # Errors
    /// When the scope is recorded already, all slots are in use, or the kernel
    /// refuses; nothing is left behind then.
    pub fn register(&mut self, key: &ScopeKey, ring_bytes: u32) -> Result<SlotId, TraceError> {
        if key.depth == 0 || key.depth >= DEPTHS {
            return Err(TraceError::Depth(key.depth));
        }
        let id = self.claim(key, ring_bytes)?;
        self.host.get().depths.fetch_or(1 << key.depth, Ordering::AcqRel);
        let inserted = self.insert_keys(key, id).and_then(|()| {
            // `unload` hides the pins before it looks for scopes: one of us sees the other.
            let there = self.dir.join("scopes").exists();
            there.then_some(()).ok_or(TraceError::Unloaded)
        });
        inserted.inspect_err(|_| {
            // The first error is what matters; `gc` finds a slot that stays taken.
            let _ = self.release(id);
        })?;
        let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |now| {
            now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs()
        });
        self.slots.get(id).registered.store(now, Ordering::Release);
        Ok(id)
    }

    /// When the recording of a slot's scope began, nanoseconds since boot; `None` where who
    /// registered it did not come so far.
    pub fn registered(&self, id: SlotId) -> Option<u64> {
        Some(self.slots.get(id).registered.load(Ordering::Acquire)).filter(|at| *at != 0)
    }

    /// Notes when the first process of the pid namespace of a slot's scope began, in clock ticks
    /// since boot: numbers of namespaces are used again. Who registers it does not wait for that;
    /// the number is its own as long as somebody holds the namespace.
    pub fn set_first(&self, id: SlotId, began: u64) {
        self.slots.get(id).first.store(began, Ordering::Release);
    }

    fn insert_keys(&self, key: &ScopeKey, id: SlotId) -> Result<(), TraceError> {
        let value = id.0.to_ne_bytes();
        if let Some(inum) = key.pid_namespace {
            self.map("pid_namespaces")?
                .update(&inum.to_ne_bytes(), &value, MapFlags::ANY)
                .map_err(|e| TraceError::bpf("register the pid namespace", e))?;
        }
        self.map("scopes")?.update(&key.cgroup.to_ne_bytes(), &value, MapFlags::NO_EXIST).map_err(
            |error| match error.kind() {
                libbpf_rs::ErrorKind::AlreadyExists => TraceError::Registered(key.cgroup),
                _ => TraceError::bpf("register the cgroup", error),
            },
        )
    }

    /// The slot that records the scope of `cgroup`.
    pub fn slot_of(&self, cgroup: u64) -> Option<SlotId> {
        self.taken().find(|(_, taken)| *taken == cgroup).map(|(id, _)| id)
    }

    /// Takes back the slots that a killed filler of the pool has left, and what
    /// [`ProbeSet::retire`] has.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn reclaim(&self, bpffs: &Path) -> Result<(), TraceError> {
        // No filler is at work while this is held.
        let _lock = lock(bpffs)?;
        let left = self.taken().filter(|(_, cgroup)| *cgroup == 0);
        left.map(|(id, _)| id).chain(self.spent()).try_for_each(|id| self.release(id))
    }

    /// Takes back the slots of scopes that have ended: waits for the kernel.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn recycle(&self, bpffs: &Path) -> Result<(), TraceError> {
        let _lock = lock(bpffs)?;
        self.spent().try_for_each(|id| self.release(id))
    }

    fn spent(&self) -> impl Iterator<Item = SlotId> {
        self.slots.ids().filter(|id| self.slots.get(*id).state.load(Ordering::Acquire) == SPENT)
    }

    /// The scopes that `owner` registered: their slots and cgroup ids.
    pub fn scopes_of(&self, owner: u32) -> impl Iterator<Item = (SlotId, u64)> {
        self.taken().filter(move |(id, cgroup)| {
            *cgroup != 0 && self.slots.get(*id).owner.load(Ordering::Acquire) == owner
        })
    }

    /// Every slot that is taken, with its cgroup id, or 0 while a ring is made for the pool.
    fn taken(&self) -> impl Iterator<Item = (SlotId, u64)> {
        self.slots.ids().filter_map(|id| {
            let slot = self.slots.get(id);
            (slot.state.load(Ordering::Acquire) == TAKEN)
                .then(|| (id, slot.cgroup.load(Ordering::Acquire)))
        })
    }

    /// A slot with an empty ring for `key`: one of the pool, or, where that is
    /// empty, one made now, which waits for an RCU grace period.
    fn claim(&mut self, key: &ScopeKey, ring_bytes: u32) -> Result<SlotId, TraceError> {
        let (id, vacant) = match self.take(READY) {
            Some(id) => (id, false),
            None => {
                self.slots = SlotTable::all(self.map("slots")?.as_fd())
                    .map_err(|e| TraceError::bpf("map slots", e))?;
                match self.take(READY) {
                    Some(id) => (id, false),
                    None => (self.take(VACANT).ok_or(TraceError::Full(SLOTS))?, true),
                }
            }
        };
        // At once: a slot that names its cgroup is found again whoever dies here.
        let slot = self.slots.get(id);
        slot.cgroup.store(key.cgroup, Ordering::Release);
        slot.pid_namespace.store(key.pid_namespace.unwrap_or(0), Ordering::Release);
        slot.owner.store(key.owner, Ordering::Release);
        if vacant {
            self.insert_ring(id, ring_bytes).inspect_err(|_| self.set_free(id, VACANT))?;
        }
        Ok(id)
    }

    /// Takes the first of the mapped slots that is in `state`.
    fn take(&self, state: u32) -> Option<SlotId> {
        self.slots.ids().find(|id| self.slots.get(*id).take(state))
    }

    /// Makes rings ahead until `target` are ready, so that a hook only claims one, and takes
    /// back what others have not waited for: first of all by putting new rings there, which
    /// waits for the kernel as making one does, and once for both.
    ///
    /// # Errors
    /// When the kernel refuses a ring.
    pub fn fill_pool(&self, bpffs: &Path, target: u32, ring_bytes: u32) -> Result<(), TraceError> {
        let _lock = lock(bpffs)?;
        let state = |id: &SlotId| self.slots.get(*id).state.load(Ordering::Acquire);
        let ready = self.slots.ids().filter(|id| state(id) == READY).count();
        let vacant = self.slots.ids().filter(|id| self.slots.get(*id).take(VACANT));
        let ids: Vec<SlotId> =
            self.spent().chain(vacant).take((target as usize).saturating_sub(ready)).collect();
        let inserted = self.insert_rings(&ids, ring_bytes);
        for id in ids {
            let was_spent = state(&id) == SPENT;
            if inserted.is_ok() && (!was_spent || self.reset(id).is_ok()) {
                self.set_free(id, READY);
            } else if !was_spent {
                self.set_free(id, VACANT);
            }
        }
        inserted.and_then(|()| self.spent().try_for_each(|id| self.release(id)))
    }

    fn insert_ring(&self, id: SlotId, ring_bytes: u32) -> Result<(), TraceError> {
        insert(&self.map("rings")?, id, &create_ring(ring_bytes)?)
    }

    /// The same for each of many slots. Since Linux 6.8 the kernel waits once for all that are
    /// inserted by one call; before, once for each, and before 5.17 it has no such call.
    fn insert_rings(&self, ids: &[SlotId], ring_bytes: u32) -> Result<(), TraceError> {
        let Ok(count @ 1..) = u32::try_from(ids.len()) else { return Ok(()) };
        let map = self.map("rings")?;
        let rings: Vec<MapHandle> =
            ids.iter().map(|_| create_ring(ring_bytes)).collect::<Result<_, _>>()?;
        let keys: Vec<u8> = ids.iter().flat_map(|id| id.0.to_ne_bytes()).collect();
        let values: Vec<u8> = rings.iter().flat_map(descriptor).collect();
        if map.update_batch(&keys, &values, count, MapFlags::ANY, MapFlags::ANY).is_ok() {
            return Ok(());
        }
        ids.iter().zip(&rings).try_for_each(|(id, ring)| insert(&map, *id, ring))
    }

    /// Ends the recording of a slot's scope: first nothing new comes in, then its
    /// ring goes, then the slot is free. Goes on after an error and gives the first.
    ///
    /// # Errors
    /// When the kernel refuses; the slot then stays taken for `gc`.
    fn release(&self, id: SlotId) -> Result<(), TraceError> {
        let unregistered = self.unregister(id);
        let rings = self.map("rings").and_then(|rings| {
            // Waits for an RCU grace period: no program is in the slot afterwards.
            match rings.delete(&id.0.to_ne_bytes()) {
                Err(error) if error.kind() != libbpf_rs::ErrorKind::NotFound => {
                    Err(TraceError::bpf("remove a ring", error))
                }
                _ => Ok(()),
            }
        });
        let reset = self.reset(id);
        unregistered.and(rings).and(reset)?;
        self.set_free(id, VACANT);
        Ok(())
    }

    /// Forgets what a slot's scope has counted, once no program is in it any more.
    fn reset(&self, id: SlotId) -> Result<(), TraceError> {
        self.host.get().spills.iter().for_each(|spill| spill.free(id));
        let zero = vec![vec![0; 8]; libbpf_rs::num_possible_cpus().unwrap_or(1)];
        self.map("numbers")?
            .update_percpu(&id.0.to_ne_bytes(), &zero, MapFlags::ANY)
            .map_err(|e| TraceError::bpf("reset the numbers of a slot", e))
    }

    /// Releases a slot if it still is the one of `cgroup`: since it was looked at, its
    /// owner or `gc` may have released it, and another scope have taken it.
    ///
    /// # Errors
    /// As [`ProbeSet::release`].
    pub fn release_if(&self, bpffs: &Path, id: SlotId, cgroup: u64) -> Result<bool, TraceError> {
        // Only one of them is here at a time.
        let _lock = lock(bpffs)?;
        let is_same = self.taken().any(|taken| taken == (id, cgroup));
        if is_same {
            self.release(id)?;
        }
        Ok(is_same)
    }

    /// Ends the recording of a slot's scope, which is drained, and waits for nothing. Its ring
    /// stays until somebody takes it back: [`ProbeSet::recycle`].
    ///
    /// # Errors
    /// When the kernel refuses; the slot then stays taken for `gc`.
    pub fn retire(&self, id: SlotId) -> Result<(), TraceError> {
        self.unregister(id)?;
        self.slots.get(id).state.store(SPENT, Ordering::Release);
        Ok(())
    }

    /// Stops the recording of a slot's scope; its ring can still be drained.
    fn unregister(&self, id: SlotId) -> Result<(), TraceError> {
        let slot = self.slots.get(id);
        let cgroup = slot.cgroup.load(Ordering::Acquire);
        let inum = slot.pid_namespace.load(Ordering::Acquire);
        let scopes = self.remove_key("scopes", &cgroup.to_ne_bytes(), id);
        let namespaces = match inum {
            0 => Ok(()),
            inum => self.remove_key("pid_namespaces", &inum.to_ne_bytes(), id),
        };
        scopes.and(namespaces)
    }

    /// Deletes `key`, if it still names slot `id`: inode numbers are used again.
    fn remove_key(&self, map: &str, key: &[u8], id: SlotId) -> Result<(), TraceError> {
        let failed = |e| TraceError::bpf(format!("remove a key of {map}"), e);
        let map = self.map(map)?;
        let value = map.lookup(key, MapFlags::ANY).map_err(failed)?;
        if value.as_deref() == Some(&id.0.to_ne_bytes()) {
            map.delete(key).map_err(failed)?;
        }
        Ok(())
    }

    /// Lets others take a slot, which is in this `state` then.
    fn set_free(&self, id: SlotId, state: u32) {
        let slot = self.slots.get(id);
        slot.clear();
        slot.state.store(state, Ordering::Release);
    }

    /// Opens one of the pinned maps.
    pub(super) fn map(&self, name: &str) -> Result<MapHandle, TraceError> {
        open_map(&self.dir, name)
    }

    /// Opens the links that keep the programs attached. While they are held, the
    /// programs stay attached even if somebody removes the pins.
    ///
    /// # Errors
    /// When a pin is gone.
    pub(super) fn links(&self) -> Result<Vec<Link>, TraceError> {
        PROGRAMS
            .iter()
            .map(|name| {
                let path = self.dir.join(format!("link_{name}"));
                Link::open(&path).map_err(|e| TraceError::bpf(format!("open {path:?}"), e))
            })
            .collect()
    }

    /// Adds base names to those that the probe set was loaded with.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_names(&self, names: &[(String, Rank)]) -> Result<(), TraceError> {
        names::add(&self.map("names")?, names)
    }
}

/// Makes a ring buffer of `bytes`.
pub(super) fn create_ring(bytes: u32) -> Result<MapHandle, TraceError> {
    let options =
        bpf_map_create_opts { sz: size_of::<bpf_map_create_opts>() as _, ..Default::default() };
    MapHandle::create(MapType::RingBuf, Some("bw_ring"), 0, 0, bytes, &options)
        .map_err(|e| TraceError::bpf(format!("create a ring of {bytes} bytes"), e))
}

/// Puts a ring into a slot, which waits for an RCU grace period.
pub(super) fn insert(rings: &MapHandle, id: SlotId, ring: &MapHandle) -> Result<(), TraceError> {
    rings
        .update(&id.0.to_ne_bytes(), &descriptor(ring), MapFlags::ANY)
        .map_err(|e| TraceError::bpf("insert a ring", e))
}

/// A map as the value of another.
fn descriptor(map: &MapHandle) -> [u8; 4] {
    map.as_fd().as_raw_fd().to_ne_bytes()
}

/// The programs, by the names of their functions.
const PROGRAMS: [&str; 3] = ["on_exec", "on_fork", "on_exit"];

pub(super) fn open_map(dir: &Path, name: &str) -> Result<MapHandle, TraceError> {
    let path = dir.join(name);
    MapHandle::from_pinned_path(&path).map_err(|e| TraceError::bpf(format!("open {path:?}"), e))
}

/// Unloads every probe set under `bpffs` that records nothing, this binary's and
/// older ones; returns how many were removed. The caller holds no scope. `cgroups` asks for
/// the ids of all cgroups of this host.
///
/// # Errors
/// When a pin cannot be removed.
pub fn unload(
    bpffs: &Path,
    cgroups: &dyn Fn() -> Option<HashSet<u64>>,
) -> Result<usize, TraceError> {
    let root = bpffs.join("buildwarden");
    if !root.exists() {
        return Ok(0);
    }
    let _lock = lock(bpffs)?;
    let entries = std::fs::read_dir(&root).map_err(|e| directory(&root, "read", &e))?;
    let mut removed = 0;
    let hidden = root.join("unloading");
    let mut dirs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    // What a killed unloader has left makes room for the others.
    dirs.sort_by_key(|dir| *dir != hidden);
    for dir in dirs {
        // Out of sight first, so that no hook begins to use what is being removed; one
        // that has begun is in `scopes`, and the pins come back.
        std::fs::rename(&dir, &hidden).map_err(|e| directory(&dir, "rename", &e))?;
        let ours = dir == pin_directory(bpffs);
        if is_in_use(&hidden, if ours { &|| None } else { cgroups }) {
            std::fs::rename(&hidden, &dir).map_err(|e| directory(&dir, "rename to", &e))?;
            continue;
        }
        std::fs::remove_dir_all(&hidden).map_err(|e| directory(&hidden, "remove", &e))?;
        removed += 1;
    }
    // Fails when something is left in it, and then rightly.
    let _ = std::fs::remove_dir(&root);
    Ok(removed)
}

/// Whether a probe set of any version has scopes: all keep them in a plain map. One whose
/// cgroup is gone counts only where the cgroups are not known: of another version, nobody can
/// release it any more.
fn is_in_use(dir: &Path, cgroups: &dyn Fn() -> Option<HashSet<u64>>) -> bool {
    let Ok(scopes) = open_map(dir, "scopes") else { return false };
    // Scopes first: a cgroup is there before its scope is.
    let scopes: Vec<Vec<u8>> = scopes.keys().collect();
    let cgroups = if scopes.is_empty() { None } else { cgroups() };
    let is_there = |key: &Vec<u8>| match (&cgroups, key[..].try_into()) {
        (Some(cgroups), Ok(id)) => cgroups.contains(&u64::from_ne_bytes(id)),
        _ => true,
    };
    scopes.iter().any(is_there)
}

/// Takes the lock that loading, unloading and filling the pool are serialised by: on
/// the directory of the pins itself, because that is what all who share it have in
/// common, whatever their configuration.
fn lock(bpffs: &Path) -> Result<Flock<File>, TraceError> {
    let root = bpffs.join("buildwarden");
    loop {
        let file = match File::open(&root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_directory(&root)?;
                File::open(&root)
            }
            file => file,
        };
        let file = file.map_err(|e| directory(&root, "open", &e))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, source)| {
            TraceError::Directory { path: root.clone(), what: "lock", source }
        })?;
        // Whoever had it may have unloaded everything, and the directory with it.
        let locked = lock.metadata().map_err(|e| directory(&root, "look at", &e))?.ino();
        if std::fs::metadata(&root).is_ok_and(|now| now.ino() == locked) {
            return Ok(lock);
        }
    }
}

/// Mounts the BPF file system where none is.
fn mount_bpffs(path: &Path) -> Result<(), TraceError> {
    let failed = |what, source| TraceError::Directory { path: path.to_owned(), what, source };
    let is_mounted = || {
        statfs::statfs(path)
            .map(|kind| kind.filesystem_type() == statfs::BPF_FS_MAGIC)
            .map_err(|e| failed("look at the directory for the BPF file system", e))
    };
    if is_mounted()? {
        return Ok(());
    }
    // The second of two mounts would hide the pins in the first.
    let below = File::open(path).map_err(|e| directory(path, "open", &e))?;
    let _lock = Flock::lock(below, FlockArg::LockExclusive).map_err(|(_, e)| failed("lock", e))?;
    if is_mounted()? {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), path, Some("bpf"), flags, Some("mode=0700"))
        .map_err(|e| failed("mount the BPF file system", e))
}

pub(super) fn make_directory(path: &Path) -> Result<(), TraceError> {
    match nix::unistd::mkdir(path, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(source) => Err(TraceError::Directory { path: path.to_owned(), what: "create", source }),
    }
}

pub(super) fn directory(path: &Path, what: &'static str, error: &io::Error) -> TraceError {
    TraceError::Directory {
        path: path.to_owned(),
        what,
        source: error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
    }
}
