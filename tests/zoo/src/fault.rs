use std::future::pending;

/// A way to misbehave. Those up to [`Endless`](Fault::Endless) can be asked for by the first part of a key as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Computes for ever.
    Loop,
    /// Waits for what nobody will ever tell it, which the guest's own runtime finds out and traps.
    Wait,
    /// Panics.
    Trap,
    /// Takes memory without end.
    Bomb,
    /// Floods the log, and goes on as it should.
    Log,
    /// Tells of one byte more than there is.
    LieSize,
    /// Returns the metadata of another key.
    LieKey,
    /// Returns bytes of which the last is another one.
    Flip,
    /// Streams half of the bytes and says that they were all.
    Short,
    /// Streams half of the bytes and traps.
    Cut,
    /// Returns all bytes in one piece, however many.
    Oversized,
    /// Lists backwards.
    Order,
    /// Lists more objects than were asked for.
    Flood,
    /// Says that there is more after an empty page.
    Endless,

    /// Panics when it is opened.
    PanicAtOpen,
    /// Refuses its settings, whatever they are.
    RefuseToOpen,
    /// Calls itself until the stack is used up.
    Overflow,
    /// Streams byte by byte, and lets everything else go first before each.
    Drip,
    /// Says that an overwrite was done, and keeps the old object.
    LostOverwrite,
    /// Returns what was there before the last overwrite, with its metadata.
    StaleRead,
    /// Looks whether a condition is met, waits, and then writes.
    RacySwap,
    /// Takes a condition for met.
    IgnoreCondition,
    /// Keeps the pieces that came before a body failed.
    CommitEarly,
    /// Says that an object was deleted, and keeps it.
    LostDelete,
    /// Says that an object was deleted that is not there.
    DeleteNothing,
    /// Leaves out the last object of a page when there are more behind it.
    SkipOne,
    /// Lists from the key on that it should start behind.
    StartInclusive,
    /// Takes a prefix for a folder: it ends at a slash.
    PrefixIsFolder,
    /// Says that there is no more when there is.
    NoMore,
    /// Lists what was deleted.
    ListGhosts,
    /// Takes upper case for lower case in keys.
    CaseBlind,
    /// Takes several slashes for one in keys.
    SlashBlind,
    /// Keeps 255 bytes of a key.
    ShortKeys,
    /// Keeps the attributes of the object that was overwritten, where the new one has none.
    OldAttributes,
    /// Takes the time of an overwrite for that of the creation.
    NewCreation,
    /// Gives an object an etag of its own making.
    OwnEtag,
    /// Forgets tags.
    NoTags,
    /// Changes the etag with the attributes.
    UpdateEtag,
    /// Says that attributes were changed, and leaves them.
    LostUpdate,
    /// Returns ranges that begin a byte too late.
    RangeOffset,
    /// Takes an empty object for none.
    NoEmpty,
    /// Keeps in memory what was overwritten or deleted.
    Leak,
    /// Lets everyone wait while a body comes in.
    LockOnUpload,
    /// Says of everything but reads that it does not do that.
    ReadOnly,
}

impl Fault {
    /// What the first part of a key asks for.
    pub(crate) fn of(key: &str) -> Option<Self> {
        Some(match key.split_once('/')?.0 {
            "loop" => Self::Loop,
            "wait" => Self::Wait,
            "trap" => Self::Trap,
            "bomb" => Self::Bomb,
            "log" => Self::Log,
            "lie-size" => Self::LieSize,
            "lie-key" => Self::LieKey,
            "flip" => Self::Flip,
            "short" => Self::Short,
            "cut" => Self::Cut,
            "oversized" => Self::Oversized,
            "order" => Self::Order,
            "flood" => Self::Flood,
            "endless" => Self::Endless,
            _ => return None,
        })
    }

    /// Does what never comes back, if that is the fault. Called where nothing was stored yet, or is about to be returned.
    pub(crate) async fn misbehave(self) {
        match self {
            Self::Loop => loop {
                std::hint::spin_loop();
            },
            Self::Wait => pending().await,
            Self::Trap => panic!("a trap was asked for"),
            Self::Bomb => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(std::hint::black_box(vec![1u8; 1 << 20]));
                }
            }
            Self::Overflow => {
                std::hint::black_box(descend(1));
            }
            Self::Log => {
                for line in 0..100_000 {
                    larder_sdk::log::warn!("line {line}\nof a flood");
                }
            }
            _ => {}
        }
    }
}

/// Goes deeper than any stack is, and needs what it finds there on its way back, so that no loop can be made of it.
#[allow(unconditional_recursion, reason = "that is what it is for")]
fn descend(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    descend(depth + 1) + here[depth as usize % 64]
}

/// Lets others go first, once.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if yielded {
            return std::task::Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
