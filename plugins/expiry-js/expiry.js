// A lifecycle policy in JavaScript: what nobody has used for long is archived, and what begins with a prefix is deleted
// when it is old.
//
// A u64 comes as a Number, which is exact up to 2^53, and so for moments of the next 285,000 years. What is thrown is
// the error that the host gets.

const DAY = 24 * 60 * 60 * 1000;

/** What the operator says. */
let config;

/** The number of milliseconds in so many days. */
function days(name, count) {
    if (count === undefined) return undefined;
    if (!Number.isInteger(count) || count < 0) refuse(`${name} is a whole number of days`);
    return count * DAY;
}

function refuse(problem) {
    throw { kind: 'invalid-input', code: '', message: `the plugin's \`config\` does not fit: ${problem}` };
}

export const lifecycle = {
    open(settings) {
        const { archive_unused_after, delete_after, prefix = '', ...unknown } = JSON.parse(settings) ?? {};
        for (const name of Object.keys(unknown)) {
            refuse(`unknown field \`${name}\`, expected \`archive_unused_after\`, \`delete_after\` or \`prefix\``);
        }
        if (typeof prefix !== 'string') refuse('prefix is a text');
        config = {
            archiveAfter: days('archive_unused_after', archive_unused_after),
            deleteAfter: days('delete_after', delete_after),
            prefix,
        };
    },

    decide(candidates, now) {
        // An object from the future is as old as one that was just stored.
        const isOver = (since, span) => span !== undefined && now >= since && now - since >= span;
        return candidates.map(({ metadata, lastReadAt }) => {
            const { key, updatedAt } = metadata;
            const lastUsedAt = lastReadAt > updatedAt ? lastReadAt : updatedAt;
            return {
                archive: isOver(lastUsedAt, config.archiveAfter),
                delete: key.startsWith(config.prefix) && isOver(updatedAt, config.deleteAfter),
                retain: 0,
            };
        });
    },
};
