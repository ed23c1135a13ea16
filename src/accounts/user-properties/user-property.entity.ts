import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One user property of the marketing platform, as a tenant's catalogue has it. */
@Entity('user_property')
export class UserProperty {
  @PrimaryColumn({ name: 'tenant_id', type: 'varchar', length: 64 })
  tenantId: string;

  @PrimaryColumn({ type: 'varchar', length: 128 })
  name: string;

  @Column({ name: 'display_name', type: 'varchar', length: 255 })
  displayName: string;

  /** The platform's own word for it, e.g. `string`. */
  @Column({ name: 'data_type', type: 'varchar', length: 32 })
  dataType: string;

  /** Its place in the catalogue, from 0. */
  @Column({ type: 'integer' })
  place: number;
}

/** A tenant's catalogue; its row is what those who replace it, or choose from it, take turns on. */
@Entity('user_property_catalogue')
export class UserPropertyCatalogue {
  @PrimaryColumn({ name: 'tenant_id', type: 'varchar', length: 64 })
  tenantId: string;

  /** Null until one was sent. */
  @Column({ name: 'replaced_at', type: 'datetime', precision: 3, nullable: true })
  replacedAt: Date | null;
}
