//! The engines that can be told to run Buildwarden.

use std::fmt;

/// An engine, as somebody who installs it would name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// podman and buildah.
    Podman,
    /// CRI-O, which reads the same hooks directory.
    Crio,
    /// dockerd, with both of its builders.
    Docker,
    /// containerd's CRI: Kubernetes.
    Containerd,
    /// BuildKit alone.
    Buildkit,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 5] =
        [Engine::Podman, Engine::Crio, Engine::Docker, Engine::Containerd, Engine::Buildkit];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Engine::Podman => "podman",
            Engine::Crio => "crio",
            Engine::Docker => "docker",
            Engine::Containerd => "containerd",
            Engine::Buildkit => "buildkit",
        }
    }

    /// The programs that tell that it is there.
    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Engine::Podman => &["podman", "buildah"],
            Engine::Crio => &["crio"],
            Engine::Docker => &["dockerd"],
            Engine::Containerd => &["containerd"],
            Engine::Buildkit => &["buildkitd"],
        }
    }

    /// What makes the engine read its configuration again.
    pub fn restart(self) -> &'static str {
        match self {
            Engine::Podman => "nothing; podman and buildah read it at each start of a container",
            Engine::Crio => "systemctl restart crio (running containers go on)",
            Engine::Docker => {
                "systemctl daemon-reload && systemctl restart docker (stops running containers, \
                 unless daemon.json has \"live-restore\": true)"
            }
            Engine::Containerd => "systemctl restart containerd (running containers go on)",
            Engine::Buildkit => "systemctl restart buildkit (running builds fail)",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
