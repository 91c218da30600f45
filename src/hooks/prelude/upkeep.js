// What `$app` does beside records: tables, what has expired, jobs, migrations, the process, and trying out settings.
(function (host, api) {
    "use strict";

    const native = host.upkeep;
    const app = host.app.object;
    const refuse = (name, why) => () => {
        throw host.failure.host(`$app.${name}() is not supported: ${why}`);
    };
    const isRecord = (model) => model instanceof api.Record;

    // Of a moment, its text as databases hold it.
    const dateText = (moment) => {
        if (typeof moment === "string") return new api.DateTime(moment).string();
        if (moment instanceof api.DateTime) return moment.string();
        return new api.DateTime(new Date(Number(moment)).toISOString()).string();
    };

    Object.assign(app, {
        deleteExpiredMFAs: () => native.deleteExpired("mfas"),
        deleteExpiredOTPs: () => native.deleteExpired("otps"),
        deleteAllExternalAuthsByRecord(record) {
            for (const one of app.findAllExternalAuthsByRecord(record)) app.delete(one);
        },
        syncRecordTableSchema: (collection, former) => native.syncTable(collection, former ?? null),
        dryRunView(query, size) {
            const { fields, sample } = native.dryRunView(String(query), size ?? 0);
            return { fields: new api.FieldsList(fields), sample };
        },

        vacuum: () => native.vacuum(false),
        auxVacuum: () => native.vacuum(true),
        auxRunInTransaction(work) {
            host.app.transaction(() => {
                const returned = work(app);
                host.checkReturned(returned);
            }, true);
        },

        deleteOldLogs: (moment) => {
            app.auxDB().delete("_logs", api.$dbx.exp("[[created]] <= {:date}", { date: dateText(moment) })).execute();
        },
        logsStats(expression) {
            const date = "strftime('%Y-%m-%d %H:00:00', [[created]])";
            const query = app.auxDB().select("COUNT([[id]]) as total", `${date} as date`).from("_logs").groupBy("date");
            if (expression !== null && expression !== undefined) query.andWhere(expression);
            return query.rows().map((row) => ({ date: new api.DateTime(row.date + ".000Z"), total: row.total }));
        },

        encryptionEnv: () => native.encryptionEnv(),
        newBackupsFilesystem: () => host.filesystem(true),

        // The built-in migrations have run before any script does.
        runSystemMigrations: () => undefined,
        runAppMigrations: () => native.migrate(),
        runAllMigrations: () => native.migrate(),
        restart: () => native.restart(),
        // Scripts run in an application that has been made ready.
        bootstrap: () => undefined,
        clearBootstrap: refuse("clearBootstrap", "the databases stay open as long as the server runs"),
        resetBootstrapState: refuse("resetBootstrapState", "the databases stay open as long as the server runs"),
        start: refuse("start", "the server runs already"),
        execute: refuse("execute", "the server runs already"),
    });
    for (const name of ["auxSave", "auxSaveNoValidate", "auxSaveWithContext", "auxSaveNoValidateWithContext", "auxDelete", "auxDeleteWithContext"]) {
        app[name] = refuse(name, "records and collections are kept in data.db; auxiliary.db is changed with $app.auxDB()");
    }

    const validate = app.validate;
    app.validate = (model) => {
        if (host.isCollection(model)) native.validateCollection(model);
        else if (host.isSettings(model)) native.validateSettings(model);
        else if (isRecord(model)) validate(model);
        else throw host.failure.host("only records, collections and settings can be validated");
    };
    app.validateWithContext = (context, model) => app.validate(model);

    // Records are written as they are; all else is as ever.
    const bare = Object.create(app);
    const onlyRecords = (model) => {
        if (!isRecord(model)) throw host.failure.host("without hooks only records can be saved and deleted: collections need theirs to change their tables");
        return model;
    };
    Object.assign(bare, {
        save: (model) => native.saveRecord(onlyRecords(model)),
        delete: (model) => native.deleteRecord(onlyRecords(model)),
        validate: (model) => void onlyRecords(model),
        unsafeWithoutHooks: () => bare,
        runInTransaction: (work) => app.runInTransaction(() => work(bare)),
    });
    for (const name of ["saveNoValidate"]) bare[name] = bare.save;
    for (const [name, plain] of [["saveWithContext", "save"], ["saveNoValidateWithContext", "save"], ["deleteWithContext", "delete"], ["validateWithContext", "validate"]]) {
        bare[name] = (context, model) => bare[plain](model);
    }
    app.unsafeWithoutHooks = () => bare;

    Object.assign(app.cron(), {
        start: () => native.setCronsStopped(false),
        stop: () => native.setCronsStopped(true),
        hasStarted: () => native.cronsStarted(),
        removeAll: () => native.removeCrons(),
        // Nanoseconds, as durations are.
        setInterval: (duration) => native.setCronInterval(Number(duration) / 1e6),
        setTimezone: (zone) => native.setCronZone(String(zone)),
    });

    // Commands of the command line.
    class Command {
        constructor(members) {
            Object.assign(this, { use: "", aliases: [], short: "", long: "", example: "", run: null, runE: null }, members);
        }
        name() {
            return String(this.use).trim().split(/\s+/)[0] ?? "";
        }
        addCommand() {
            throw host.failure.host("commands of commands are not supported: add them to $app.rootCmd");
        }
    }
    api.Command = Command;
    app.rootCmd = {
        use: "server",
        addCommand(...commands) {
            for (const given of commands) {
                const command = given instanceof Command ? given : new Command(given);
                const run = command.run ?? command.runE;
                if (typeof run !== "function" || command.name() === "") throw new TypeError("a command needs `use` and `run`");
                for (const name of [command.name(), ...(command.aliases ?? [])]) {
                    host.register.command(name, (words) => host.checkReturned(run(command, words)));
                }
            }
        },
    };

    // Forms: members, and `submit`.
    const form = (members, submit) =>
        class {
            constructor(of) {
                void of;
                Object.assign(this, members);
            }
            submit() {
                return submit({ ...this });
            }
        };
    api.AppleClientSecretCreateForm = form({ clientId: "", teamId: "", keyId: "", privateKey: "", duration: 0 }, (members) => native.appleSecret(members));
    api.TestEmailSendForm = form({ email: "", template: "", collection: "" }, (members) => native.tryMail(members));
    api.TestS3FilesystemForm = form({ filesystem: "" }, (members) => native.tryStorage(members));
})
