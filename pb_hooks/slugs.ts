// TypeScript: gives articles and posts a readable address when they have a field "slug" and it is empty.
/// <reference path="../pb_data/types.d.ts" />

interface Sluggable {
    get(field: string): unknown;
    set(field: string, value: unknown): void;
}

const enum Length {
    Max = 60,
}

function slugOf(title: string): string {
    return title
        .normalize("NFKD")
        .replace(/[\u0300-\u036f]/g, "")
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-+|-+$/g, "")
        .slice(0, Length.Max);
}

function fill(record: Sluggable): void {
    if (record.get("slug") !== "") {
        return;
    }
    const title: string = String(record.get("title") || record.get("titre") || "");
    if (title) {
        record.set("slug", `${slugOf(title)}-${utils.generateId().slice(0, 5)}`);
    }
}

onRecordCreate((e) => {
    fill(e.record);
    e.next();
}, "posts", "articles");
