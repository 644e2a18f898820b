//! One party in a process of its own, for the memory that it alone needs.
//!
//! The two processes run one inference and talk through pipes, in the very messages that client and
//! server exchange within one process. Each reports its own high-water mark, which no allocation of
//! the other can touch. The network's other half is let go before counting begins. Of each look-up step
//! the server does one batch on every thread: its memory is then what it ever gets to be, for all
//! ciphertexts are there, and further batches take the place of those before. What comes back means
//! nothing, and nobody reads it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::circuit::compile::compile_placement;
use crate::circuit::key_kind::KeyKind;
use crate::circuit::program::Program;
use crate::core::error::{Error, Result};
use crate::core::placement::{Party, Placement, SegmentIndex};
use crate::fhe::bootstrap::full_batches;
use crate::machine::memory::HighWater;
use crate::machine::process::{self, out_of_memory};
use crate::machine::threads;
use crate::model::Model;
use crate::party::client::Client;
use crate::party::inference::{PhaseTimes, Route, infer, serve};
use crate::party::server::{Extent, Server};
use crate::record::party_memory::{RoleMemories, RoleMemory};
use crate::record::settings::Settings;

/// Environment variable that tells a role's process its job.
const JOB: &str = "SPLITBENCH_ROLE_JOB";
/// The longest message between the two processes.
const MOST_BYTES: u64 = 1 << 36;

/// How often a party looks whether it was orphaned.
const POLL: Duration = Duration::from_millis(200);

/// What a party's process is to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    settings: Settings,
    placement: Placement,
}

impl Job {
    fn of(settings: &Settings, placement: &Placement) -> Self {
        Self {
            // The other placements are nobody's business here, and there may be millions: more than an
            // environment variable holds.
            settings: Settings {
                placements: vec![placement.clone()],
                whole: Vec::new(),
                left_out: Vec::new(),
                ..settings.clone()
            },
            placement: placement.clone(),
        }
    }
}

/// Runs one inference of a placement with each party in a process of its own; `None` where this
/// system has no exact measure.
///
/// # Errors
///
/// [`Error::Worker`] where a process cannot be started or fails.
pub fn measure(
    program: &Path,
    settings: &Settings,
    placement: &Placement,
) -> Result<Option<RoleMemories>> {
    if HighWater::reset().is_none() {
        return Ok(None);
    }
    let job =
        serde_json::to_string(&Job::of(settings, placement)).map_err(|error| failed(&error))?;
    let start = |party: &'static str, input: Stdio, output: Stdio| {
        let mut command = Command::new(program);
        command.args(["role", party]).env(JOB, &job);
        let command = command.stdin(input).stdout(output).stderr(Stdio::piped());
        let child = process::start(command)?;
        Ok::<_, Error>(Role { party, child })
    };
    if placement.server_segments().is_empty() {
        let client = start("client", Stdio::null(), Stdio::null())?;
        return Ok(Some(RoleMemories {
            client: client.report()?,
            server: None,
        }));
    }
    let mut server = start("server", Stdio::piped(), Stdio::piped())?;
    let (Some(to_server), Some(from_server)) =
        (server.child.stdin.take(), server.child.stdout.take())
    else {
        unreachable!("both ends were asked for");
    };
    let client = start("client", from_server.into(), to_server.into())?;
    // Where one party fails, the other misses its messages: both say what they saw.
    match (client.report(), server.report()) {
        (Ok(client), Ok(server)) => Ok(Some(RoleMemories {
            client,
            server: Some(server),
        })),
        // The other misses its messages only because of it.
        (Err(error), _) | (_, Err(error)) if error.is_memory() => Err(error),
        (Err(client), Err(server)) => Err(failed(&format!("server: {server}; client: {client}"))),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Worker(format!("a party in a process of its own: {error}"))
}

/// A party's process; killed when dropped.
struct Role {
    party: &'static str,
    child: Child,
}

impl Role {
    /// Waits for its end and returns what it reports on its standard error.
    fn report(mut self) -> Result<RoleMemory> {
        let mut text = String::new();
        if let Some(stderr) = self.child.stderr.as_mut() {
            stderr
                .read_to_string(&mut text)
                .map_err(|error| failed(&error))?;
        }
        let status = self.child.wait().map_err(|error| failed(&error))?;
        let last = text.lines().last().unwrap_or_default();
        if let Some(words) = out_of_memory(status, &text) {
            let party = self.party;
            return Err(Error::OutOfMemory(format!(
                "the {party} in a process of its own: {words}"
            )));
        }
        if !status.success() {
            return Err(failed(&format!("{status}: {last}")));
        }
        serde_json::from_str(last).map_err(|error| failed(&error))
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // Both fail only where it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole life of a party's process.
///
/// # Errors
///
/// What reading the model and running the inference give; [`Error::Worker`] where there is no job.
pub fn run(party: Party) -> Result<()> {
    process::offer();
    end_with_parent()?;
    let job = std::env::var(JOB).map_err(|error| failed(&error))?;
    let job: Job = serde_json::from_str(&job).map_err(|error| failed(&error))?;
    let model = Model::load(&job.settings.model)?.with_granularity(job.settings.granularity);
    let programs = compile_placement(&model, &job.placement, &job.settings.target()?)?;
    let memory = match party {
        Party::Client => run_client(model, &job.placement, programs)?,
        Party::Server => {
            drop(model);
            run_server(&programs, job.settings.spill_above_bytes)?
        }
    };
    let report = serde_json::to_string(&memory).map_err(|error| failed(&error))?;
    eprintln!("{report}");
    Ok(())
}

/// Ends this process when its parent has gone, which hands it to another one.
fn end_with_parent() -> Result<()> {
    #[cfg(unix)]
    threads::spawn(|| {
        let parent = std::os::unix::process::parent_id();
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(POLL);
        }
        std::process::exit(1);
    })?;
    Ok(())
}

/// Counts the memory of `work`.
fn counted(work: impl FnOnce() -> Result<()>) -> Result<RoleMemory> {
    let no_measure = || failed(&"this system has no high-water mark");
    let start_bytes = HighWater::reset().ok_or_else(no_measure)?;
    work()?;
    let peak_bytes = HighWater::read().ok_or_else(no_measure)?;
    Ok(RoleMemory {
        start_bytes,
        peak_bytes,
    })
}

fn run_client(
    model: Model,
    placement: &Placement,
    programs: Vec<Arc<Program>>,
) -> Result<RoleMemory> {
    let interfaces = programs.iter().map(|p| (p.interface.clone(), p.parameters));
    let keys = KeyKind::needed(&programs);
    let route = Route::of(&model, placement);
    let image = model.test.image(0).to_vec();
    let interfaces = interfaces.collect();
    drop(programs);
    let client = Client::of_nodes(&model, placement);
    drop(model);
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    counted(|| {
        let client = client.with_keys(interfaces);
        for kind in keys {
            write_frame(&mut output, &client.make(&kind)?.to_bytes())?;
        }
        infer(&client, &route, &image, &mut |_, uploads| {
            let count = uploads.len() as u64;
            write_frame(&mut output, &count.to_le_bytes())?;
            for upload in uploads {
                write_frame(&mut output, &upload)?;
            }
            read_frames(&mut input)
        })?;
        Ok(())
    })
}

fn run_server(programs: &[Arc<Program>], spill_above: Option<u64>) -> Result<RoleMemory> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut server = Server::new(programs);
    server.spill_above(spill_above);
    counted(|| {
        for kind in KeyKind::needed(programs) {
            server.receive(&kind, &read_frame(&mut input)?)?;
        }
        let mut times = PhaseTimes::default();
        for (index, program) in programs.iter().enumerate() {
            let segment = SegmentIndex::new(index);
            let uploads = read_frames(&mut input)?;
            let (extent, advance) = (Extent::Batch(full_batches()), |_, _| ());
            let served = serve(
                &server, segment, program, &uploads, &mut times, extent, &advance,
            )?;
            let count = served.downloads.len() as u64;
            write_frame(&mut output, &count.to_le_bytes())?;
            for download in served.downloads {
                write_frame(&mut output, &download)?;
            }
        }
        Ok(())
    })
}

/// Writes the length of a message in eight bytes, and the message.
fn write_frame(output: &mut impl Write, message: &[u8]) -> Result<()> {
    let length = (message.len() as u64).to_le_bytes();
    let written = output
        .write_all(&length)
        .and_then(|()| output.write_all(message))
        .and_then(|()| output.flush());
    written.map_err(|error| failed(&error))
}

fn read_frame(input: &mut impl Read) -> Result<Vec<u8>> {
    let mut length = [0; 8];
    input
        .read_exact(&mut length)
        .map_err(|error| failed(&error))?;
    let length = u64::from_le_bytes(length);
    if length > MOST_BYTES {
        return Err(failed(&format!("a message of {length} bytes")));
    }
    let mut message = Vec::new();
    let read = input.take(length).read_to_end(&mut message);
    match read {
        Ok(count) if count as u64 == length => Ok(message),
        Ok(count) => Err(failed(&format!("{count} of {length} bytes arrived"))),
        Err(error) => Err(failed(&error)),
    }
}

/// Reads a number of messages and as many messages.
fn read_frames(input: &mut impl Read) -> Result<Vec<Vec<u8>>> {
    let count = read_frame(input)?;
    let count: [u8; 8] = count
        .try_into()
        .map_err(|_| failed(&"a number of messages has eight bytes"))?;
    (0..u64::from_le_bytes(count))
        .map(|_| read_frame(input))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::Overrides;

    #[test]
    fn a_job_is_short_however_many_splits_there_are() {
        let shard = Overrides {
            model: Some("digits-deep".into()),
            shard: Some("1/2".parse().expect("a shard")),
            ..Overrides::default()
        };
        let (settings, _) = Settings::resolve(shard, &|_| {}).expect("settings");
        let length = |value: &Settings| serde_json::to_vec(value).expect("written").len();
        let job = Job::of(&settings, &settings.placements[0]);
        assert_eq!(settings.whole.len(), 256);
        assert!(length(&settings) > 256 * 8);
        assert!(length(&job.settings) < 1024);
    }

    #[test]
    fn frames_arrive_whole_or_not_at_all() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, b"abc").expect("written");
        assert_eq!(read_frame(&mut bytes.as_slice()).expect("whole"), b"abc");
        for length in 0..bytes.len() {
            assert!(read_frame(&mut &bytes[..length]).is_err(), "{length}");
        }
        let huge = u64::MAX.to_le_bytes();
        assert!(read_frame(&mut huge.as_slice()).is_err());
    }
}
