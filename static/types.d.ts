// What scripts in pb_hooks, pb_modules and pb_migrations can use. Written by the server at each start: changes are lost.
//
//     /// <reference path="../pb_data/types.d.ts" />

type Json = any;
type Failure = { error: string; data?: Record<string, { code: string; message: string }> };
type PlainRecord = { id: string; collectionId: string; collectionName: string; created?: string; updated?: string; [field: string]: any };

// --- The application -------------------------------------------------------------------------------------------------

/** Records as plain objects. What fails gives `{error}`; nothing here throws. */
declare const db: {
    findById(collection: string, id: string): PlainRecord & Partial<Failure>;
    /** `params` fill the `{:name}` placeholders of the filter. */
    findOne(collection: string, filter: string, params?: { [name: string]: any }): PlainRecord & Partial<Failure>;
    /** 100 records, the newest first, if nothing else is said; at most 10,000. */
    findAll(collection: string, filter?: string, sort?: string, limit?: number, offset?: number, params?: { [name: string]: any }): PlainRecord[] & Partial<Failure>;
    create(collection: string, data: object): PlainRecord & Partial<Failure>;
    /** Keys may carry modifiers, such as `count+`. */
    update(collection: string, id: string, data: object): PlainRecord & Partial<Failure>;
    delete(collection: string, id: string): { success: true; id: string } & Partial<Failure>;
    count(collection: string, filter?: string, params?: { [name: string]: any }): any;
    /** Reads only. Question marks stand for the values. */
    query(sql: string, ...values: any[]): { [column: string]: any }[] & Partial<Failure>;
    /** All or nothing. What the function throws, or returns with a member `error`, undoes everything. It must not be asynchronous. */
    transaction<T>(work: (tx: typeof db) => T): T & Partial<Failure>;
};

/** Topics, which clients follow at `/api/events/{topic}`. */
declare const pubsub: {
    /** Inside a transaction it is sent after the commit. */
    publish(topic: string, payload: Json): boolean;
    /** Gives the function that ends the subscription. */
    subscribe(topic: string, handler: (payload: Json) => void | Promise<void>): () => boolean;
};

declare const webrtc: {
    getRoom(id: string): { id: string; type: string; participants: string[]; count: number } & Partial<Failure>;
    listRooms(): { id: string; type: string; participants: number }[] & Partial<Failure>;
    broadcast(room: string, type: string, data: Json): any;
    kickParticipant(room: string, participant: string): any;
};
declare const social: {
    likePost(user: string, post: string, reaction?: string): any;
    commentPost(user: string, post: string, content: string, parent?: string): any;
    getPostStats(post: string): any;
    getTrendingPosts(limit?: number): any;
};
declare const marketplace: {
    createSale(user: string, article: string, amount?: number): any;
    getSalesStats(user: string): { total_sales: number; paid_sales: number; pending_sales: number; count: number } & Partial<Failure>;
    getWalletBalance(user: string): any;
};
declare const location: {
    updateLocation(user: string, lat: number, lng: number, accuracy?: number, presence?: string): any;
    getLocation(user: string): any;
    findNearby(lat: number, lng: number, radius: number): any;
    getUsersByPresence(presence: string): any;
    /** In metres. */
    distance(lat1: number, lng1: number, lat2: number, lng2: number): number;
};

/** Values in memory that all scripts share. They outlive reloads and end with the server. */
declare const storage: {
    set(key: string, value: Json, ttlSeconds?: number): true;
    get(key: string): Json;
    delete(key: string): boolean;
    keys(prefix?: string): string[];
};
declare const cron: {
    /** Every so many seconds, or by a cron expression (UTC). Gives the function that ends it. */
    schedule(when: number | string, work: () => any): () => any;
    setTimeout(milliseconds: number, work: () => any): number;
};
declare const auth: {
    verifyToken(token: string): { valid: boolean; userId: string; collection?: string };
    getUser(id: string): PlainRecord | null;
};
declare const http: {
    get(url: string, options?: { headers?: { [name: string]: string }; timeout?: number }): { status: number; headers: any; body: string; json: Json };
    post(url: string, data?: Json, options?: { headers?: { [name: string]: string }; timeout?: number }): { status: number; headers: any; body: string; json: Json };
};
declare const utils: {
    jsonEncode(value: Json): string;
    /** An object is given back as it is. */
    jsonDecode(text: string | object): Json;
    msgpackEncode(value: Json): Uint8Array;
    msgpackDecode(bytes: Uint8Array | ArrayBuffer | number[]): Json;
    generateId(): string;
    hashPassword(text: string): string;
    /** Between whole numbers a whole number, both included. */
    random(min?: number, max?: number): number;
    uuid(): string;
};
declare function log(...values: any[]): void;
/** Milliseconds; 30 s at most, 1 s inside a transaction. */
declare function sleep(milliseconds: number): void;
/** Seconds since 1970. */
declare function timestamp(): number;
declare function require(name: string): any;
declare const __hooks: string;
declare const __filename: string;
declare const __dirname: string;
declare const module: { exports: any; id: string };
declare const exports: any;
declare const global: any;

// --- PocketBase's names ----------------------------------------------------------------------------------------------

interface Field { [property: string]: any }
declare class Collection {
    constructor(data?: object);
    id: string; name: string; type: string; system: boolean;
    listRule: string | null; viewRule: string | null; createRule: string | null; updateRule: string | null; deleteRule: string | null;
    fields: any; indexes: string[];
    [property: string]: any;
}
declare class Record_ {
    constructor(collection?: Collection, data?: object);
    id: string;
    get(field: string): any;
    set(field: string, value: any): void;
    load(data: object): void;
    getString(field: string): string;
    getInt(field: string): number;
    getFloat(field: string): number;
    getBool(field: string): boolean;
    getDateTime(field: string): DateTime;
    getStringSlice(field: string): string[];
    original(): Record_;
    isNew(): boolean;
    collection(): Collection;
    setPassword(password: string): void;
    validatePassword(password: string): boolean;
    email(): string; setEmail(email: string): void;
    verified(): boolean; setVerified(verified: boolean): void;
    hide(...fields: string[]): Record_;
    unhide(...fields: string[]): Record_;
    withCustomData(on: boolean): Record_;
    publicExport(): { [field: string]: any };
    expandedOne(field: string): Record_ | null;
    expandedAll(field: string): Record_[];
    [method: string]: any;
}
declare const Record: typeof Record_;
declare class DateTime { constructor(value?: string); string(): string; unix(): number; isZero(): boolean; time(): any; [method: string]: any }

declare class ApiError extends Error { constructor(status?: number, message?: string, data?: object); status: number; data: any }
declare class BadRequestError extends ApiError { constructor(message?: string, data?: object) }
declare class UnauthorizedError extends ApiError { constructor(message?: string, data?: object) }
declare class ForbiddenError extends ApiError { constructor(message?: string, data?: object) }
declare class NotFoundError extends ApiError { constructor(message?: string, data?: object) }
declare class TooManyRequestsError extends ApiError { constructor(message?: string, data?: object) }
declare class InternalServerError extends ApiError { constructor(message?: string, data?: object) }

/** A connection to `/api/realtime`. Its values are shared by all scripts and go with the connection. */
interface RealtimeClient {
    id(): string;
    /** `auth` is the record that the client stands for. */
    get(key: string): any;
    set(key: string, value: any): void;
    unset(key: string): void;
    subscriptions(...prefixes: string[]): { [subscription: string]: { query: object; headers: object } };
    hasSubscription(subscription: string): boolean;
    subscribe(...subscriptions: string[]): void;
    unsubscribe(...subscriptions: string[]): void;
    send(message: { name: string; data: any }): void;
    isDiscarded(): boolean;
    discard(): void;
}

declare class SubscriptionMessage { constructor(members: { name: string; data: any }); name: string; data: any }
declare class Command { constructor(members: { use: string; short?: string; run: (command: Command, args: string[]) => void }); [member: string]: any }
declare class AppleClientSecretCreateForm { constructor(app: App); clientId: string; teamId: string; keyId: string; privateKey: string; duration: number; submit(): string }
declare class TestEmailSendForm { constructor(app: App); email: string; template: string; collection: string; submit(): void }
declare class TestS3FilesystemForm { constructor(app: App); filesystem: string; submit(): void }
/** Bytes with the encodings and number formats of Node. */
declare class Buffer extends Uint8Array {
    static from(value: string | ArrayLike<number> | ArrayBuffer, encoding?: string): Buffer;
    static alloc(size: number, fill?: string | number, encoding?: string): Buffer;
    static concat(list: Uint8Array[], length?: number): Buffer;
    static isBuffer(value: any): boolean;
    static byteLength(value: string, encoding?: string): number;
    toString(encoding?: string, start?: number, end?: number): string;
    equals(other: Uint8Array): boolean;
    [method: string]: any;
}

interface SubscriptionsBroker {
    clients(): { [id: string]: RealtimeClient };
    chunkedClients(size: number): RealtimeClient[][];
    totalClients(): number;
    clientById(id: string): RealtimeClient;
    register(client: RealtimeClient): void;
    unregister(id: string): void;
}

interface Cron {
    add(id: string, expression: string, work: () => void): void;
    mustAdd(id: string, expression: string, work: () => void): void;
    remove(id: string): void;
    removeAll(): void;
    jobs(): { id(): string; expression(): string }[];
    total(): number;
    start(): void;
    stop(): void;
    hasStarted(): boolean;
    /** Nanoseconds. */
    setInterval(duration: number): void;
    setTimezone(zone: any): void;
}

interface App {
    findCollectionByNameOrId(name: string): Collection;
    findRecordById(collection: string | Collection, id: string): Record_;
    findFirstRecordByData(collection: string | Collection, field: string, value: any): Record_;
    findFirstRecordByFilter(collection: string | Collection, filter: string, params?: object): Record_;
    findRecordsByFilter(collection: string | Collection, filter: string, sort?: string, limit?: number, offset?: number, params?: object): Record_[];
    findAuthRecordByEmail(collection: string | Collection, email: string): Record_;
    countRecords(collection: string | Collection, ...conditions: any[]): number;
    save(model: Record_ | Collection): void;
    delete(model: Record_ | Collection): void;
    runInTransaction(work: (app: App) => void): void;
    settings(): any;
    logger(): any;
    newMailClient(): any;
    db(): any;
    /** The clients of `/api/realtime`. */
    subscriptionsBroker(): SubscriptionsBroker;
    /** The end of the transaction at hand; null outside of those that a script has opened. */
    txInfo(): { onComplete(work: (error: any) => void): void } | null;
    /** False until the server's start is behind. */
    isBootstrapped(): boolean;
    validate(model: Record_ | Collection | object): void;
    /** The same application for which records are written as they are: no hooks, no checks. */
    unsafeWithoutHooks(): App;
    /** What is done to auxiliary.db meanwhile commits together, or not at all. */
    auxRunInTransaction(work: (app: App) => void): void;
    syncRecordTableSchema(collection: Collection, former: Collection | null): void;
    dryRunView(query: string, size: number): { fields: any; sample: Record_[] };
    deleteExpiredMFAs(): void;
    deleteExpiredOTPs(): void;
    deleteAllExternalAuthsByRecord(record: Record_): void;
    deleteOldLogs(before: any): void;
    logsStats(expression?: any): { date: any; total: number }[];
    vacuum(): void;
    auxVacuum(): void;
    /** Runs the migrations of the folder that have not run yet. */
    runAppMigrations(): void;
    /** The server ends what it does and begins anew. */
    restart(): void;
    newFilesystem(): any;
    newBackupsFilesystem(): any;
    cron(): Cron;
    /** Commands of the command line: `server NAME ARGUMENTS...`. */
    rootCmd: { addCommand(...commands: Command[]): void };
    [method: string]: any;
}
declare const $app: App;

interface HookEvent {
    next(): any;
    app: App;
    record?: any; records?: any; collection?: any; auth?: any;
    request?: any; response?: any;
    requestInfo(): any;
    json(status: number, body: Json): any;
    string(status: number, text: string): any;
    html(status: number, text: string): any;
    blob(status: number, contentType: string, bytes: any): any;
    redirect(status: number, url: string): any;
    noContent(status: number): any;
    bindBody(target: any): void;
    error(status: number, message: string, data?: object): any;
    [member: string]: any;
}
type Handler = (e: HookEvent) => any;

declare function routerAdd(method: string, path: string, handler: Handler, ...middlewares: any[]): void;
declare function routerUse(...middlewares: any[]): void;
declare function cronAdd(id: string, expression: string, work: () => any): void;
declare function cronRemove(id: string): void;
declare function migrate(up: (app: App) => any, down?: (app: App) => any): void;

declare const $apis: any;
declare const $http: { send(request: { url: string; method?: string; body?: any; headers?: { [name: string]: string }; timeout?: number }): any };
declare const $security: any;
declare const $os: any;
declare const $filesystem: any;
declare const $template: any;
declare const $dbx: any;
declare const $mails: any;

declare function onBootstrap(handler: Handler, ...tags: string[]): void;
declare function onBootstrapClear(handler: Handler, ...tags: string[]): void;
declare function onServe(handler: Handler, ...tags: string[]): void;
declare function onTerminate(handler: Handler, ...tags: string[]): void;
declare function onBackupCreate(handler: Handler, ...tags: string[]): void;
declare function onBackupRestore(handler: Handler, ...tags: string[]): void;
declare function onMailerSend(handler: Handler, ...tags: string[]): void;
declare function onMailerRecordAuthAlertSend(handler: Handler, ...tags: string[]): void;
declare function onMailerRecordPasswordResetSend(handler: Handler, ...tags: string[]): void;
declare function onMailerRecordVerificationSend(handler: Handler, ...tags: string[]): void;
declare function onMailerRecordEmailChangeSend(handler: Handler, ...tags: string[]): void;
declare function onMailerRecordOTPSend(handler: Handler, ...tags: string[]): void;
declare function onRealtimeConnectRequest(handler: Handler, ...tags: string[]): void;
declare function onRealtimeMessageSend(handler: Handler, ...tags: string[]): void;
declare function onRealtimeSubscribeRequest(handler: Handler, ...tags: string[]): void;
declare function onSettingsListRequest(handler: Handler, ...tags: string[]): void;
declare function onSettingsUpdateRequest(handler: Handler, ...tags: string[]): void;
declare function onSettingsReload(handler: Handler, ...tags: string[]): void;
declare function onFileDownloadRequest(handler: Handler, ...tags: string[]): void;
declare function onFileTokenRequest(handler: Handler, ...tags: string[]): void;
declare function onCollectionsListRequest(handler: Handler, ...tags: string[]): void;
declare function onCollectionViewRequest(handler: Handler, ...tags: string[]): void;
declare function onCollectionCreateRequest(handler: Handler, ...tags: string[]): void;
declare function onCollectionUpdateRequest(handler: Handler, ...tags: string[]): void;
declare function onCollectionDeleteRequest(handler: Handler, ...tags: string[]): void;
declare function onCollectionsImportRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordsListRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordViewRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordCreateRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordUpdateRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordDeleteRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordEnrich(handler: Handler, ...tags: string[]): void;
declare function onRecordAuthRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordAuthWithPasswordRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordAuthWithOTPRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordAuthRefreshRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordRequestOTPRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordRequestPasswordResetRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordConfirmPasswordResetRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordRequestVerificationRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordConfirmVerificationRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordRequestEmailChangeRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordConfirmEmailChangeRequest(handler: Handler, ...tags: string[]): void;
declare function onBatchRequest(handler: Handler, ...tags: string[]): void;
declare function onRecordValidate(handler: Handler, ...tags: string[]): void;
declare function onRecordCreate(handler: Handler, ...tags: string[]): void;
declare function onRecordCreateExecute(handler: Handler, ...tags: string[]): void;
declare function onRecordUpdate(handler: Handler, ...tags: string[]): void;
declare function onRecordUpdateExecute(handler: Handler, ...tags: string[]): void;
declare function onRecordDelete(handler: Handler, ...tags: string[]): void;
declare function onRecordDeleteExecute(handler: Handler, ...tags: string[]): void;
declare function onRecordAfterCreateSuccess(handler: Handler, ...tags: string[]): void;
declare function onRecordAfterCreateError(handler: Handler, ...tags: string[]): void;
declare function onRecordAfterUpdateSuccess(handler: Handler, ...tags: string[]): void;
declare function onRecordAfterUpdateError(handler: Handler, ...tags: string[]): void;
declare function onRecordAfterDeleteSuccess(handler: Handler, ...tags: string[]): void;
declare function onRecordAfterDeleteError(handler: Handler, ...tags: string[]): void;
declare function onCollectionValidate(handler: Handler, ...tags: string[]): void;
declare function onCollectionCreate(handler: Handler, ...tags: string[]): void;
declare function onCollectionCreateExecute(handler: Handler, ...tags: string[]): void;
declare function onCollectionUpdate(handler: Handler, ...tags: string[]): void;
declare function onCollectionUpdateExecute(handler: Handler, ...tags: string[]): void;
declare function onCollectionDelete(handler: Handler, ...tags: string[]): void;
declare function onCollectionDeleteExecute(handler: Handler, ...tags: string[]): void;
declare function onCollectionAfterCreateSuccess(handler: Handler, ...tags: string[]): void;
declare function onCollectionAfterCreateError(handler: Handler, ...tags: string[]): void;
declare function onCollectionAfterUpdateSuccess(handler: Handler, ...tags: string[]): void;
declare function onCollectionAfterUpdateError(handler: Handler, ...tags: string[]): void;
declare function onCollectionAfterDeleteSuccess(handler: Handler, ...tags: string[]): void;
declare function onCollectionAfterDeleteError(handler: Handler, ...tags: string[]): void;
declare function onModelValidate(handler: Handler, ...tags: string[]): void;
declare function onModelCreate(handler: Handler, ...tags: string[]): void;
declare function onModelCreateExecute(handler: Handler, ...tags: string[]): void;
declare function onModelUpdate(handler: Handler, ...tags: string[]): void;
declare function onModelUpdateExecute(handler: Handler, ...tags: string[]): void;
declare function onModelDelete(handler: Handler, ...tags: string[]): void;
declare function onModelDeleteExecute(handler: Handler, ...tags: string[]): void;
declare function onModelAfterCreateSuccess(handler: Handler, ...tags: string[]): void;
declare function onModelAfterCreateError(handler: Handler, ...tags: string[]): void;
declare function onModelAfterUpdateSuccess(handler: Handler, ...tags: string[]): void;
declare function onModelAfterUpdateError(handler: Handler, ...tags: string[]): void;
declare function onModelAfterDeleteSuccess(handler: Handler, ...tags: string[]): void;
declare function onModelAfterDeleteError(handler: Handler, ...tags: string[]): void;
declare function onRecordAuthWithOAuth2Request(handler: Handler, ...tags: string[]): void;
